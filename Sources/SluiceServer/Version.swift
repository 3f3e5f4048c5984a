// Which Sluice this is.

/// The version of this build.
public enum Version {
    /// As in the changelog.
    public static let number = "0.1.0"
}
