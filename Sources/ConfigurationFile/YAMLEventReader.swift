// libyaml's parser behind a Swift face: bytes in, events out. The only code here that sees C
// pointers.

internal import CYAML

/// What libyaml found next.
struct YAMLEvent {
    enum Kind {
        case streamStart, streamEnd, documentStart, documentEnd
        case listStart, listEnd, mapStart, mapEnd
        case scalar(String, isPlain: Bool)
        case alias
    }

    var kind: Kind
    /// Whether an anchor (`&name`) or a tag (`!!str`) stands before it.
    var hasProperties = false
    var mark: Mark
}

/// A YAML text that libyaml cannot read.
struct YAMLFailure: Error {
    var mark: Mark
    /// In libyaml's own words.
    var problem: String
}

/// Reads a YAML text event by event.
@safe struct YAMLEventReader: ~Copyable {
    // libyaml keeps a pointer to the input and holds no pointer to us. Both allocations are made in
    // `init`, live as long as this value, and are freed in `deinit` only, the parser first.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let file: String

    init(_ bytes: [UInt8], file: String) {
        self.file = file
        unsafe input = .allocate(capacity: bytes.count)
        _ = unsafe input.initialize(fromContentsOf: bytes)
        unsafe parser = .allocate(capacity: 1)
        // "Returns 1 if the function succeeded, 0 on error": it fails only for want of memory.
        let isReady = unsafe yaml_parser_initialize(parser)
        precondition(isReady == 1, "out of memory")
        // Not left to be guessed, or a file in UTF-16 would pass, with other columns than an editor
        // shows.
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        unsafe yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    }

    deinit {
        unsafe yaml_parser_delete(parser)
        unsafe parser.deallocate()
        unsafe input.deallocate()
    }

    /// The next event. After `streamEnd`, or once it has thrown, there is none to ask for.
    func next() throws(YAMLFailure) -> YAMLEvent {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw failure() }
        defer { unsafe yaml_event_delete(&event) }
        var result = YAMLEvent(kind: .streamEnd, mark: unsafe mark(event.start_mark))
        switch unsafe event.type {
        case YAML_STREAM_START_EVENT: result.kind = .streamStart
        case YAML_DOCUMENT_START_EVENT: result.kind = .documentStart
        case YAML_DOCUMENT_END_EVENT: result.kind = .documentEnd
        case YAML_ALIAS_EVENT: result.kind = .alias
        case YAML_SEQUENCE_START_EVENT:
            result.kind = .listStart
            let start = unsafe event.data.sequence_start
            result.hasProperties = unsafe start.anchor != nil || start.tag != nil
        case YAML_SEQUENCE_END_EVENT: result.kind = .listEnd
        case YAML_MAPPING_START_EVENT:
            result.kind = .mapStart
            let start = unsafe event.data.mapping_start
            result.hasProperties = unsafe start.anchor != nil || start.tag != nil
        case YAML_MAPPING_END_EVENT: result.kind = .mapEnd
        case YAML_SCALAR_EVENT:
            let scalar = unsafe event.data.scalar
            let text = unsafe String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length),
                as: UTF8.self)
            result.kind = .scalar(
                text, isPlain: unsafe scalar.style == YAML_PLAIN_SCALAR_STYLE)
            result.hasProperties = unsafe scalar.anchor != nil || scalar.tag != nil
        default: break  // The end of the stream; libyaml has no further events.
        }
        return result
    }

    private func mark(_ mark: yaml_mark_t) -> Mark {
        Mark(file: file, line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    private func failure() -> YAMLFailure {
        let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) }
        var place = unsafe mark(parser.pointee.problem_mark)
        if unsafe parser.pointee.error == YAML_READER_ERROR {
            // The reader fails before characters are counted, and tells the offset in bytes
            // instead.
            place = self.place(ofByte: unsafe Int(parser.pointee.problem_offset))
        }
        return YAMLFailure(mark: place, problem: problem ?? "unreadable")
    }

    private func place(ofByte offset: Int) -> Mark {
        var place = Mark(file: file, line: 1, column: 1)
        for index in 0..<min(offset, unsafe input.count) {
            let byte = unsafe input[index]
            if byte == UInt8(ascii: "\n") {
                place.line += 1
                place.column = 1
            } else if byte & 0xC0 != 0x80 {
                // Bytes that continue a character of UTF-8 are no column of their own.
                place.column += 1
            }
        }
        return place
    }
}
