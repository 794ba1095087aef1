// One app core per process, for the app and for its notification extension: the same data folder and Keychain group.
import Foundation

public actor SharedPhone {
    /// Where the app and its extensions meet.
    public struct Place: Sendable {
        public let appGroup: String
        public let accessGroup: String
        public let serverUrl: String
        public let deviceName: String

        public init(appGroup: String, accessGroup: String, serverUrl: String, deviceName: String) {
            self.appGroup = appGroup
            self.accessGroup = accessGroup
            self.serverUrl = serverUrl
            self.deviceName = deviceName
        }
    }

    private let place: Place
    private var opened: Borsellino?

    public init(_ place: Place) {
        self.place = place
    }

    /// The language of every sentence: German and English where the phone speaks them, else Italian.
    public static var language: Language {
        switch Locale.preferredLanguages.first?.prefix(2) {
        case "de": return .german
        case "en": return .english
        default: return .italian
        }
    }

    /// Opened with the first use. Where it throws `SecureStore` with `Locked`, try again once the phone is unlocked.
    public func open() async throws -> Borsellino {
        if let opened { return opened }
        let files = FileManager.default
        guard let group = files.containerURL(forSecurityApplicationGroupIdentifier: place.appGroup) else {
            throw BorsellinoError.Cache(why: .io)
        }
        var folder = group.appendingPathComponent("borsellino", isDirectory: true)
        let protection = [FileAttributeKey.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication]
        try files.createDirectory(at: folder, withIntermediateDirectories: true, attributes: protection)
        var kept = URLResourceValues()
        // What is sealed with this phone's key is of no use on another one.
        kept.isExcludedFromBackup = true
        try folder.setResourceValues(kept)
        let config = Config(
            dataDir: folder.path, serverUrl: place.serverUrl, language: Self.language, deviceName: place.deviceName
        )
        let store = KeychainStore(service: "borsellino", accessGroup: place.accessGroup)
        let app = try await Borsellino.open(config: config, store: store)
        // Another call may have been quicker while this one waited.
        if let opened {
            await app.shutdown()
            return opened
        }
        opened = app
        return app
    }

    /// When the app goes to the background: iOS ends an app that is suspended with a shared database open, and tokens that an
    /// extension renews meanwhile are read afresh with the next `open`.
    public func close() async {
        let app = opened
        opened = nil
        await app?.shutdown()
    }
}
