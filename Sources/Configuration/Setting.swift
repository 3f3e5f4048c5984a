// The settings as data: what docs/SETTINGS.md, the example file, unknown-key errors and ranges are
// made from.

/// One setting of the configuration file.
public struct Setting: Sendable, Equatable {
    /// The dotted path; `[]` stands for each element of a list, `*` for each name in a map.
    public let name: String
    /// What its value looks like, with the unit and the range.
    public let type: SettingType
    /// The value when it is not set, as it would be written; `nil`: there is none.
    public let standard: String?
    /// Whether it must be there (where its list or section is).
    public let isRequired: Bool
    /// One sentence.
    public let meaning: String

    init(
        _ name: String, _ type: SettingType, _ standard: String?, _ meaning: String,
        isRequired: Bool = false
    ) {
        self.name = name
        self.type = type
        self.standard = standard
        self.isRequired = isRequired
        self.meaning = meaning
    }

    /// The setting with this path. Indexes and map names of a real path must be `[]` and `*` here.
    public static func named(_ name: String) -> Setting? { byName[name] }

    /// The keys that may stand under `path`, in the order of the table; empty for one that is not a
    /// section.
    public static func keys(under path: String) -> [String] {
        let start = path.isEmpty ? "" : path + "."
        var keys: [String] = []
        for setting in all where setting.name.hasPrefix(start) {
            let key = setting.name.dropFirst(start.count).prefix { $0 != "." && $0 != "[" }
            if !keys.contains(String(key)) { keys.append(String(key)) }
        }
        return keys
    }

    private static let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }
}

/// What a value looks like in the file.
public enum SettingType: Sendable, Equatable {
    /// Any text.
    case text
    /// A path in the file system; relative ones start at the folder of the configuration file.
    case path
    /// A secret: the text, `${VARIABLE}`, or `file:` and a path.
    case secret
    /// `true` or `false`.
    case flag
    /// One of some words.
    case choice([String])
    /// A whole number.
    case count(ClosedRange<Int>)
    /// A number of bytes.
    case size(ClosedRange<Int>)
    /// A time; `mayBeOff`: or `off`, which is no limit.
    case duration(ClosedRange<Duration>, mayBeOff: Bool)
    /// Something else, described by these words.
    case other(String)

    /// The kind of value in a word or two, with its unit.
    public var title: String {
        switch self {
        case .text: "text"
        case .path: "path"
        case .secret: "secret"
        case .flag: "flag"
        case .choice: "word"
        case .count: "number"
        case .size: "size"
        case .duration: "duration"
        case .other(let words): words
        }
    }

    /// The values that are allowed; empty where the title says it all.
    public var range: String {
        switch self {
        case .text, .path, .secret, .other: ""
        case .flag: "true or false"
        case .choice(let words): alternatives(words)
        case .count(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .size(let range): "\(sizeText(range.lowerBound)) to \(sizeText(range.upperBound))"
        case .duration(let range, let mayBeOff):
            "\(durationText(range.lowerBound)) to \(durationText(range.upperBound))"
                + (mayBeOff ? ", or off" : "")
        }
    }
}
