// Lines that are not about requests, and the moment every line begins with.

import Observability
import Testing

@Suite struct Messages {
    private let time = WallTime(seconds: 0, nanoseconds: 0)

    @Test(arguments: [LogMessage.Level.debug, .info, .warning, .error])
    func beginWithTheirTimeAndLevel(_ level: LogMessage.Level) {
        let message = LogMessage(level, "backend gpu is up: llama-server, 1 model")
        #expect(
            message.text(at: time)
                == "1970-01-01T00:00:00.000Z \(level.rawValue): backend gpu is up: llama-server, 1 model\n"
        )
        #expect(
            message.json(at: time)
                == #"{"time":"1970-01-01T00:00:00.000Z","level":"\#(level.rawValue)","#
                + #""message":"backend gpu is up: llama-server, 1 model"}"# + "\n")
    }

    /// Some of the words are a backend's.
    @Test func areOneLineWhateverTheySay() {
        let message = LogMessage(.warning, "it said \"no\"\r\n2026 error: \\forged\u{1B}[2J")
        #expect(
            message.text(at: time)
                == "1970-01-01T00:00:00.000Z warning: "
                + #"it said "no"\u000d\u000a2026 error: \forged\u001b[2J"# + "\n")
        #expect(
            message.json(at: time)
                == #"{"time":"1970-01-01T00:00:00.000Z","level":"warning","message":"#
                + #""it said \"no\"\u000d\u000a2026 error: \\forged\u001b[2J"}"# + "\n")
    }
}

@Suite struct WallTimes {
    /// Seconds since 1970, as `date -u -d … +%s` gives them.
    static let table: KeyValuePairs<Int, String> = [
        0: "1970-01-01T00:00:00.000Z",
        86_399: "1970-01-01T23:59:59.000Z",
        86_400: "1970-01-02T00:00:00.000Z",
        5_097_599: "1970-02-28T23:59:59.000Z",
        5_097_600: "1970-03-01T00:00:00.000Z",
        68_169_600: "1972-02-29T00:00:00.000Z",
        94_694_399: "1972-12-31T23:59:59.000Z",
        94_694_400: "1973-01-01T00:00:00.000Z",
        951_782_400: "2000-02-29T00:00:00.000Z",
        951_868_800: "2000-03-01T00:00:00.000Z",
        978_307_199: "2000-12-31T23:59:59.000Z",
        1_709_164_800: "2024-02-29T00:00:00.000Z",
        1_795_183_200: "2026-11-20T14:00:00.000Z",
        2_147_483_648: "2038-01-19T03:14:08.000Z",
        4_107_542_399: "2100-02-28T23:59:59.000Z",
        4_107_542_400: "2100-03-01T00:00:00.000Z",
        13_574_563_200: "2400-02-29T00:00:00.000Z",
        253_402_300_799: "9999-12-31T23:59:59.000Z",
    ]

    @Test func areDatesOfTheGregorianCalendar() {
        for (seconds, written) in Self.table {
            #expect(WallTime(seconds: seconds, nanoseconds: 0).description == written)
        }
    }

    /// Against a calendar that only counts: one day after the other.
    @Test func everyDayFollowsTheOneBefore() {
        var (year, month, day) = (1970, 1, 1)
        for number in 0..<60_000 {
            let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
            let written = WallTime(seconds: number * 86_400, nanoseconds: 0).description
            #expect(written == "\(year)-\(two(month))-\(two(day))T00:00:00.000Z")
            day += 1
            if day > days(in: month, of: year) { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(year > 2100)
    }

    private func days(in month: Int, of year: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    @Test func cutNanosecondsToMilliseconds() {
        for (nanoseconds, written) in [
            (0, "000"), (999_999, "000"), (1_000_000, "001"), (12_345_678, "012"),
            (999_999_999, "999"),
        ] {
            let time = WallTime(seconds: 0, nanoseconds: nanoseconds)
            #expect(time.description == "1970-01-01T00:00:00.\(written)Z")
        }
    }
}
