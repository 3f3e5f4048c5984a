// Models of Ollama that hang after a disconnect: watched, unloaded, used again.

internal import Configuration
internal import HTTPTransport
internal import JSON
internal import Routing

/// One model of Ollama under watch.
struct Ward {
    var detector = WedgeDetector()
    /// The request that unloads it, while that is under way.
    var cure: Fetch?
}

extension FrontDesk {
    /// For Ollama to unload a model; it answers at once.
    private static let curePatience = Duration.seconds(30)

    /// How often each model was found hanging, for the operator.
    var cures: [(place: Place, count: Int)] {
        wards.compactMap { place, ward in
            ward.detector.cures > 0 ? (place, ward.detector.cures) : nil
        }
    }

    /// A request is on its way to a model.
    func beginWatching(_ grant: Grant) {
        var place = grant.place
        place.tier = 0
        guard probes.first(where: { $0.state.name == place.backend })?.state.kind == .ollama else {
            return
        }
        watched[grant.id] = place
        wards[place, default: Ward()].detector.sent(grant.id, now: now)
    }

    /// Tells the detector what became of a request. `isOver`: it is not at that model any more.
    func watch(_ id: UInt64, isOver: Bool = true, _ note: (inout WedgeDetector) -> Void) {
        guard let place = isOver ? watched.removeValue(forKey: id) : watched[id],
            var ward = wards.removeValue(forKey: place)
        else { return }
        note(&ward.detector)
        wards[place] = ward
    }

    /// Unloads models that hang. Their requests wait for that, and are sent again.
    func cureWhatHangs(_ now: Int64) {
        for place in Array(wards.keys) {
            guard let hanging = wards[place]?.detector.check(now: now) else { continue }
            log.write(
                .warning,
                "the model \(place.model) on \(place.backend) hangs after a disconnect; "
                    + "unloading it (\(hanging.count) requests wait)")
            // First, or they would be sent there again at once.
            admission.suspend(place, now: now)
            for id in hanging {
                watched[id] = nil
                send(.hangs(id))
            }
            unload(place)
        }
    }

    private func unload(_ place: Place) {
        guard let state = probes.first(where: { $0.state.name == place.backend })?.state else {
            return
        }
        var body: [UInt8] = Array(#"{"model":"#.utf8)
        body.appendJSONString(place.model)
        body.append(#","keep_alive":0}"#)
        let head = state.head.bytes(
            "POST", "/api/generate", bodyLength: body.count, accept: "application/json")
        let fetch = Fetch(
            CallRequest(head: head, body: [.bytes(body)]), to: state.target, through: pool,
            within: Self.curePatience
        ) { [unowned self] result in unloaded(place, result) }
        wards[place, default: Ward()].cure = fetch
        fetch.start()
    }

    private func unloaded(_ place: Place, _ result: FetchResult) {
        switch result {
        case .answered(let head, _) where head.status == 200: break
        case .answered(let head, _):
            log.write(.warning, "\(place.backend) answered unloading with status \(head.status)")
        case .failed(let why): log.write(.warning, "unloading: \(place.backend) \(why.words)")
        }
        let cure = wards[place]?.cure
        loop.afterThisTurn { _ = cure }
        wards[place]?.cure = nil
        wards[place]?.detector.unloaded()
        tell(admission.resume(place, now: now))
        armTimer()
    }
}
