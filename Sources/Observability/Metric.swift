// The closed list of metrics: names, kinds, labels and meanings, in one table.

/// One metric as operators see it. docs/OPERATIONS.md holds the same table.
public struct Metric: Sendable, Hashable {
    /// The kinds of Prometheus's text format that we use.
    public enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// Its name; seconds and bytes are named, counters end in `_total`.
    public let name: String
    /// What it is.
    public let kind: Kind
    /// The names of its labels, in the order they are written.
    public let labels: [String]
    /// What it says, in a sentence.
    public let meaning: String

    private init(_ name: String, _ kind: Kind, _ labels: [String], _ meaning: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.meaning = meaning
    }

    private init(_ name: String, _ kind: Kind, _ meaning: String) {
        self.init(name, kind, [], meaning)
    }
}

/// Names follow OpenTelemetry's conventions for generative AI where they have one, in the spelling
/// of Prometheus: `gen_ai.server.time_to_first_token` is `sluice_time_to_first_token_seconds`.
extension Metric {
    static let received = Metric(
        "sluice_requests_received_total", .counter,
        "Requests that arrived, those that HTTP itself refuses included.")
    static let requests = Metric(
        "sluice_requests_total", .counter, ["model", "backend", "ending"],
        "Requests that ended, by the word of their ending; model and backend are empty where none was asked."
    )
    static let tokens = Metric(
        "sluice_tokens_total", .counter, ["model", "backend", "type"],
        "Tokens as the backends counted them; type is input or output.")
    static let firstToken = Metric(
        "sluice_time_to_first_token_seconds", .histogram, ["model", "backend"],
        "From the sending of a request to the backend to the first event of its answer.")
    static let perToken = Metric(
        "sluice_time_per_output_token_seconds", .histogram, ["model", "backend"],
        "Between two events of an answer, without the time in which its client was too slow.")
    static let queue = Metric(
        "sluice_queue_duration_seconds", .histogram, ["model", "backend"],
        "From the arrival of a request to its sending to the backend.")
    static let duration = Metric(
        "sluice_request_duration_seconds", .histogram, ["model", "backend"],
        "From the arrival of a request for a model to its end.")
    static let active = Metric(
        "sluice_requests_active", .gauge, "Requests that have not ended, those that wait included.")
    static let queued = Metric(
        "sluice_requests_queued", .gauge, "Requests that wait for a slot of a backend.")
    static let connections = Metric(
        "sluice_connections", .gauge, "Open connections of clients.")
    static let bodyBytes = Metric(
        "sluice_request_body_bytes", .gauge, "Bytes of request bodies in memory.")
    static let unsentBytes = Metric(
        "sluice_unsent_bytes", .gauge, "Bytes of answers that wait for their clients.")
    static let backendUp = Metric(
        "sluice_backend_up", .gauge, ["backend"], "Whether the backend answered when last asked.")
    static let keyTokens = Metric(
        "sluice_key_tokens_today", .gauge, ["key"],
        "Tokens the key has used since midnight UTC; keys with tokens_per_day only.")
    static let keyLimit = Metric(
        "sluice_key_tokens_limit", .gauge, ["key"], "The key's tokens_per_day.")
    static let keyActive = Metric(
        "sluice_key_requests_active", .gauge, ["key"],
        "Requests of the key that are running; keys with limits only.")
    static let keyRefused = Metric(
        "sluice_key_requests_refused_total", .counter, ["key", "limit"],
        "Requests refused with rate_limited, by the setting that was reached.")
    static let workers = Metric(
        "sluice_workers", .gauge,
        "Workers whose figures are in this answer; fewer than configured means that one is stuck.")
    static let build = Metric("sluice_build_info", .gauge, ["version"], "Always 1.")
    static let startTime = Metric(
        "process_start_time_seconds", .gauge, "When the process began, in seconds since 1970.")
    static let processor = Metric(
        "process_cpu_seconds_total", .counter, "Processor time used, in user and system mode.")
    static let residentBytes = Metric(
        "process_resident_memory_bytes", .gauge, "Memory in use.")
    static let openDescriptors = Metric("process_open_fds", .gauge, "Open file descriptors.")
    static let maxDescriptors = Metric(
        "process_max_fds", .gauge, "File descriptors the system allows.")

    /// All metrics in the order they are written.
    public static let all = [
        received, requests, tokens, firstToken, perToken, queue, duration, active, queued,
        connections, bodyBytes, unsentBytes, backendUp, keyTokens, keyLimit, keyActive, keyRefused,
        workers, build, startTime, processor, residentBytes, openDescriptors, maxDescriptors,
    ]
}
