// What a scenario file says, as values: who does what, in which order, and what must come of it.

/// One scenario.
struct Scenario {
    var title = ""
    /// The endings the log must tell, in its order.
    var endings: [String] = []
    /// Why the scenario is known to fail.
    var expectedFailure: String?
    var settings = Settings()
    var steps: [Step] = []

    /// What holds before the first step.
    struct Settings {
        /// Lines such as `timeouts.token 50ms`.
        var options: [(name: String, value: String, line: Int)] = []
        var upstreams: [Int: UpstreamSettings] = [:]
    }

    /// One scripted upstream.
    struct UpstreamSettings {
        var kind = "llama-server"
        var models = ["tiny"]
        var manner = Manner.accepting
        /// How the address behaves that Sluice knows of besides, and tries first.
        var otherAddress: Manner?
        var isUp = true
        /// Whether Sluice has to ask what it is.
        var isDiscovered = false
        /// Whether Sluice asks it again and again how it is, and it answers by itself.
        var answersProbes = false
        /// How many requests it may have at once; `nil`: what its kind takes.
        var slots: Int?
        /// The models it holds now, if it tells.
        var loaded: [String]?
        /// Bytes of each write; 0 is all at once.
        var pieces = 0

        enum Manner { case accepting, refusing, silent }
    }

    struct Step {
        var line: Int
        /// As it stands in the file, for reports.
        var text: String
        var action: Action
    }

    enum Action {
        case client(Int, ClientStep)
        case upstream(Int, call: Int?, UpstreamStep)
        case server(ServerStep)
        case quiet(Duration)
        /// The clock of queues and backends is put forward.
        case time(Duration)
        case after([AfterCheck])
    }

    /// When something must be seen, counted from the last thing that somebody did.
    struct Window {
        var notBefore: Duration?
        var within: Duration?
    }
}

/// What a scripted client does or expects.
enum ClientStep {
    case connect(smallBuffers: Bool)
    case request(method: String, target: String, fields: [String], body: [UInt8]?)
    /// A chat in the usual form; `extra` stands in the object behind its other members.
    case ask(stream: Bool, extra: String)
    case send([UInt8], pieces: Int)
    /// Opens a WebSocket, with these fields besides; a chat, or any text, as a message on it.
    case openWebSocket(fields: [String])
    case askByMessage(extra: String)
    case message([UInt8])
    case drip([UInt8], every: Duration)
    case close, reset, halfClose, stopReading, readOn
    case read(Int)
    /// Asks for /health on the same connection and expects 200.
    case goOn
    case sees(ClientSight, Scenario.Window)
}

/// What a client may be expected to see.
enum ClientSight {
    /// The next answer has this status.
    case status(Int)
    case field(String, value: String?)
    case noField(String)
    /// The text stands in the body, behind what was seen before.
    case text(String)
    /// The text does not stand in the body, which is whole.
    case noText(String)
    case json(path: String, value: String)
    case noJSON(path: String)
    /// The events of the whole stream, in the words of `EventWords`.
    case events(String)
    case errorEvent(String)
    case endOfBody
    /// A WebSocket's next frame of this kind: a ping, or a close with this code.
    case ping
    case closeFrame(code: Int)
    /// The body stops without its end.
    case cutBody
    case closed
    case reset
    /// All that it has sent was taken.
    case bytesTaken
    /// Every numbered event of a flood, in order.
    case wholeFlood
}

/// What a scripted upstream does or expects.
enum UpstreamStep {
    case head(status: Int, type: String, fields: [String])
    case reply(status: Int, fields: [String], body: [UInt8])
    case chunk([UInt8])
    case send([UInt8])
    /// One event in the dialect of the upstream.
    case event(String)
    case answer, end, close, reset, halfClose, stopReading, readOn
    /// It is killed: nobody listens, and its connections break off. It listens again.
    case die, comeBack
    /// It goes on with what is connected, and answers no further SYN.
    case acceptNoMore
    /// Probes are told that it loads its model, or that it is ready.
    case load, beReady
    case says(String)
    case thinks(String)
    case finish(String)
    case flood(Int)
    case sees(UpstreamSight, Scenario.Window)
}

/// What an upstream may be expected to see.
enum UpstreamSight {
    case request(method: String, target: String)
    case json(path: String, value: String)
    case noJSON(path: String)
    case field(String, value: String?)
    case noField(String)
    case closed
    /// Sluice reads no more: the flood stands still before its end.
    case heldUp
    /// How many requests or connections there were so far.
    case requests(Int)
    case connections(Int)
    /// The flood is wholly sent.
    case floodSent
}

/// What is done to the server itself.
enum ServerStep {
    case drain, stopSessions
    case reload(Reload)
    /// Discovery has found every upstream.
    case knowsUpstreams
    case holdsUnsent(atMost: Int)
    case holdsBodies(atMost: Int)
}

/// What is different when the configuration is read again.
enum Reload {
    case with(option: String, value: String)
    case withUpstream(Int)
    case withoutUpstream(Int)
}

/// What must hold when everything is over.
enum AfterCheck {
    /// Descriptors and memory are looked at in any case.
    case nothingLeft
    case endings([String])
    case noRetry
    case log(String)
    case notInLog(String)
}
