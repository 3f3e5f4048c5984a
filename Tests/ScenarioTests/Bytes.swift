// Searching bytes quickly in a debug build.

import Glibc

/// The position behind the first `needle` in `bytes` from `start` on.
func position(after needle: [UInt8], in bytes: [UInt8], from start: Int = 0) -> Int? {
    guard start <= bytes.count, !needle.isEmpty else { return nil }
    return unsafe bytes.withUnsafeBytes { all in
        unsafe needle.withUnsafeBytes { wanted in
            guard let base = all.baseAddress, let first = wanted.baseAddress else { return nil }
            var i = start
            while i + wanted.count <= all.count {
                let places = all.count - wanted.count - i + 1
                guard let found = unsafe memchr(base + i, Int32(wanted[0]), places) else {
                    return nil
                }
                i = unsafe UnsafeRawPointer(found) - base
                if unsafe memcmp(base + i, first, wanted.count) == 0 { return i + wanted.count }
                i += 1
            }
            return nil
        }
    }
}
