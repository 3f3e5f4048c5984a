// What there is below /ui.

internal import Configuration
internal import HTTPTransport
internal import HTTPTypes

/// A path of the live page.
enum PagePath: Equatable {
    /// A file of the page itself: nothing in it is anybody's secret.
    case file(PageFile)
    /// The figures of this moment.
    case state
    /// The figures of every second, as events.
    case events
    /// The end of a request.
    case stop(String)

    init?(path: String) {
        guard path.hasPrefix("/ui") else { return nil }
        if let file = PageFile.allCases.first(where: { $0.path == path }) {
            self = .file(file)
            return
        }
        switch path {
        case "/ui/api/state": self = .state
        case "/ui/api/events": self = .events
        default:
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 6, parts[1...3] == ["ui", "api", "requests"], parts[5] == "stop",
                !parts[4].isEmpty
            else { return nil }
            self = .stop(String(parts[4]))
        }
    }

    var isFile: Bool { if case .file = self { true } else { false } }

    var methods: [Method] {
        switch self {
        case .file, .state: [.get, .head]
        case .events: [.get]
        // What changes something is never a GET: links, images and prefetches are GETs.
        case .stop: [.post]
        }
    }
}

extension Endpoint {
    var isPage: Bool { if case .page = self { true } else { false } }

    /// Whether the configuration leaves it there.
    func isThere(_ configuration: Configuration) -> Bool {
        !isPage || configuration.ui
    }
}

/// The files of the page, which lie beside this one and are part of the program.
enum PageFile: CaseIterable {
    case document, script, style, icon

    var path: String {
        switch self {
        case .document: "/ui"
        case .script: "/ui/app.js"
        case .style: "/ui/style.css"
        case .icon: "/ui/icon.svg"
        }
    }

    private var type: String {
        switch self {
        case .document: "text/html; charset=utf-8"
        case .script: "text/javascript; charset=utf-8"
        case .style: "text/css; charset=utf-8"
        case .icon: "image/svg+xml"
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .document: PackageResources.index_html
        case .script: PackageResources.app_js
        case .style: PackageResources.style_css
        case .icon: PackageResources.icon_svg
        }
    }

    /// The file as an answer.
    func reply(_ requestID: String) -> Reply {
        let fields = [
            ("Content-Type", type), ("x-request-id", requestID),
            // A new Sluice has a new page, and a page is small.
            ("Cache-Control", "no-cache"),
            ("Content-Security-Policy", Self.policy), ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ]
        return Reply(
            status: 200, fields: fields.map { Reply.HeaderLine($0.0, $0.1) }, body: bytes)
    }

    /// Only what Sluice itself has sent, nothing written into the page by others, and in nobody's
    /// frame. Names of models and keys are others' words.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        + "require-trusted-types-for 'script'"
}
