// The byte classes of RFC 9110, byte by byte.

import HTTPTypes
import Testing

@Suite struct ByteClassesTests {
    private let alphanumeric = Set(
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

    @Test func tokensAreMadeOfWhatTheStandardLists() {
        let others = Set("!#$%&'*+-.^_`|~".utf8)
        for byte in UInt8.min...UInt8.max {
            let belongs = alphanumeric.contains(byte) || others.contains(byte)
            #expect(byte.isHTTPToken == belongs, "byte \(byte)")
        }
    }

    @Test func registeredNamesAreMadeOfWhatTheStandardLists() {
        let others = Set("-._~!$&'()*+,;=".utf8)
        for byte in UInt8.min...UInt8.max {
            let belongs = alphanumeric.contains(byte) || others.contains(byte)
            #expect(byte.isRegisteredName == belongs, "byte \(byte)")
        }
    }

    @Test func fieldsHoldNoControlsButTab() {
        for byte in UInt8.min...UInt8.max {
            let belongs = byte == 9 || byte >= 32 && byte != 127
            #expect(byte.isHTTPFieldContent == belongs, "byte \(byte)")
        }
    }

    @Test func targetsHoldVisibleASCIIWithoutFragments() {
        for byte in UInt8.min...UInt8.max {
            let belongs = (33...126).contains(byte) && byte != 35
            #expect(byte.isHTTPTarget == belongs, "byte \(byte)")
        }
    }

    @Test func hexadecimalDigitsHaveTheirValueInBothCases() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(byte))
            let value = character.isASCII ? character.hexDigitValue : nil
            #expect(byte.hexDigitValue.map(Int.init) == value, "byte \(byte)")
        }
    }

    @Test func onlyASCIILettersHaveASmallForm() {
        for byte in UInt8.min...UInt8.max {
            let letter = (65...90).contains(byte)
            #expect(byte.asciiLowercased == (letter ? byte + 32 : byte), "byte \(byte)")
        }
    }
}
