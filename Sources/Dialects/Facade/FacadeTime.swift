// Moments as Ollama writes them.

import JSON

/// Writes `created_at`: RFC 3339 in UTC, with nanoseconds.
struct FacadeTime: Sendable {
    private var second = Int.min
    private var text: [UInt8] = []

    /// The last moment whose year has four digits.
    private static let lastSecond = 253_402_300_799

    /// Appends a moment, given in nanoseconds since 1970, as a JSON string.
    mutating func append(_ nanoseconds: Int, to bytes: inout [UInt8]) {
        let (second, rest) = max(nanoseconds, 0).quotientAndRemainder(dividingBy: 1_000_000_000)
        append(second: second, nanosecond: rest, to: &bytes)
    }

    /// The same, given in seconds; what is before 1970 or after the year 9999 is as near as can be.
    mutating func append(second: Int, nanosecond: Int = 0, to bytes: inout [UInt8]) {
        let whole = min(max(second, 0), Self.lastSecond)
        // Many tokens come in one second.
        if whole != self.second { (self.second, text) = (whole, Self.text(of: whole)) }
        bytes.append(UInt8(ascii: "\""))
        bytes += text
        bytes.append(UInt8(ascii: "."))
        Self.append(nanosecond, digits: 9, to: &bytes)
        bytes.append(#"Z""#)
    }

    /// `2026-11-20T12:32:46`.
    private static func text(of second: Int) -> [UInt8] {
        let day = second / 86_400
        let (year, month, dayOfMonth) = date(day)
        var text: [UInt8] = []
        append(year, digits: 4, to: &text)
        text.append(UInt8(ascii: "-"))
        append(month, digits: 2, to: &text)
        text.append(UInt8(ascii: "-"))
        append(dayOfMonth, digits: 2, to: &text)
        for (separator, value) in [
            ("T", second / 3600 % 24), (":", second / 60 % 60), (":", second % 60),
        ] {
            text += separator.utf8
            append(value, digits: 2, to: &text)
        }
        return text
    }

    /// The date of a day since 1970, in the Gregorian calendar. Years are counted from March, so
    /// that the day that some of them have more is the last.
    private static func date(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let year = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let isNextYear = month >= 10
        return (
            year + era * 400 + (isNextYear ? 1 : 0), month + (isNextYear ? -9 : 3), dayOfMonth
        )
    }

    private static func append(_ number: Int, digits: Int, to bytes: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
