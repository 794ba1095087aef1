// Notices, receipts, certificates and statements, without the widgets: a document is fetched, written to a file that other apps
// may be given, and gone when the screen closes.
import Foundation

@MainActor
public final class DocumentScreen: ObservableObject {
    /// To show, share or print.
    @Published public private(set) var files: [URL] = []
    /// How old they are, where the server could not be asked.
    @Published public private(set) var asOf: String?
    /// What became of an e-mail.
    @Published public private(set) var sent: String?
    /// A sentence for the parent, and what to do.
    @Published public private(set) var trouble: String?

    private let app: Borsellino
    private let account: AccountKey
    private let language: Language
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("documents", isDirectory: true)

    public init(app: Borsellino, account: AccountKey, language: Language) {
        self.app = app
        self.account = account
        self.language = language
    }

    /// Fetches a document; without the network what was fetched before.
    public func open(_ document: Document) async {
        await attempt {
            let got = try await app.documents(account: account, document: document)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // The app core's names are no paths. From here on the bytes are on the disk and not in memory.
            files = try got.map { file in
                let url = folder.appendingPathComponent(file.name)
                try file.content.write(to: url, options: [.atomic, .completeFileProtection])
                return url
            }
            asOf = got.first { $0.fromCache }?.asOfText
            trouble = nil
        }
    }

    /// By e-mail: to the address on file, or to another one.
    public func send(_ notice: NoticeOf, address: String? = nil) async {
        await attempt {
            sent = try await app.sendNotice(account: account, notice: notice, address: address).sentence
            trouble = nil
        }
    }

    /// The screen closes: the app core keeps its own copy, sealed.
    public func close() {
        try? FileManager.default.removeItem(at: folder)
        (files, asOf, sent, trouble) = ([], nil, nil, nil)
    }

    private func attempt(_ work: () async throws -> Void) async {
        do {
            try await work()
        } catch let error as BorsellinoError {
            trouble = error.sentence(language)
        } catch {
            trouble = BorsellinoError.Closed.sentence(language)
        }
    }
}
