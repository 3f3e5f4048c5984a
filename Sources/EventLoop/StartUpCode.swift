// Gives back the memory that holds the code of starting.

internal import CLibevent
internal import Glibc

/// Lets go of all pages of the program's code; those in use come back at once, from the system's
/// cache of the file.
///
/// Reading the configuration and starting pass through most of the program, once. Its pages would
/// count as the process's memory for as long as it idles: 8.9 MiB in all instead of
/// 8.1 (measured before the linker put together what runs: Benchmarks/link-order).
public func releaseStartUpCode() {
    // The program headers lie in the program's own memory (getauxval(3), elf(5)).
    let start = UInt(getauxval(UInt(AT_PHDR)))
    let count = Int(getauxval(UInt(AT_PHNUM)))
    guard let headers = unsafe UnsafePointer<Elf64_Phdr>(bitPattern: start) else { return }
    let all = unsafe Array(UnsafeBufferPointer(start: headers, count: count))
    guard let own = all.first(where: { $0.p_type == UInt32(PT_PHDR) }) else { return }
    let base = start &- UInt(own.p_vaddr)
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    // Code is never written to, so nothing is lost with its pages.
    let code = all.filter {
        $0.p_type == UInt32(PT_LOAD) && $0.p_flags & UInt32(PF_X | PF_W) == UInt32(PF_X)
    }
    for part in code {
        let begin = (base &+ UInt(part.p_vaddr)) & ~(page &- 1)
        let end = base &+ UInt(part.p_vaddr) &+ UInt(part.p_memsz)
        unsafe madvise(.init(bitPattern: begin), Int(end &- begin), MADV_DONTNEED)
    }
}
