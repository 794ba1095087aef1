// The first screen of an app, without the widgets: what it shows is published, what the parent does is a function.
// docs/first-screen-swift.md puts it on a screen.
import Foundation

@MainActor
public final class FirstScreen: ObservableObject {
    /// The home screen as last known; nil before the first one.
    @Published public private(set) var home: HomeView?
    /// Changes arrive as they happen.
    @Published public private(set) var live = false
    /// Nobody is signed in: show the sign-in instead.
    @Published public private(set) var signedOut: Bool
    /// A sentence for the parent, and what to do.
    @Published public private(set) var trouble: String?
    /// The pagoPA page to open in the browser, once.
    @Published public var page: URL?

    private let app: Borsellino
    private let language: Language
    private var watching: Task<Void, Never>?

    /// Paints at once what was known.
    public init(app: Borsellino, language: Language) {
        self.app = app
        self.language = language
        home = try? app.cachedHome()
        signedOut = app.accounts().isEmpty
    }

    /// The app came to the front.
    public func start() {
        guard watching == nil, !app.accounts().isEmpty else { return }
        refresh()
        watching = Task { [weak self, app] in
            await self?.attempt {
                for await event in try app.events() {
                    self?.happened(event)
                }
            }
        }
    }

    /// The parent asks, or came back from pagoPA, or the network came back.
    public func refresh() {
        // What waits is sent, what is on its way is asked for; the screen hears of it like of anything else.
        Task { [weak self, app] in
            await self?.attempt { _ = try await app.resume() }
        }
    }

    /// The app went to the background.
    public func stop() {
        watching?.cancel()
        watching = nil
    }

    /// The parent signs in.
    public func signIn(code: String, username: String, password: String) async {
        await attempt {
            let creditor = try await app.activate(code: code)
            _ = try await app.signIn(creditor: creditor.fiscalCode, username: username, password: password)
            signedOut = false
            trouble = nil
            start()
        }
    }

    /// The parent taps an amount.
    public func topUp(wallet: WalletId, amount: Amount, payBy: PayBy) async {
        await attempt {
            // Saved before it is sent. Even if this screen closes now, it is finished, once.
            let topUp = try await app.startTopUp(wallet: wallet, amount: amount, payBy: payBy)
            home = try app.cachedHome()
            page = topUp.checkoutUrl.flatMap(URL.init(string:))
            trouble = nil
        }
    }

    private func happened(_ event: Event) {
        switch event {
        case .connectionChanged(connection: .live):
            live = true
            trouble = nil
        case .connectionChanged(connection: .lost(why: let why)):
            live = false
            trouble = why.sentence(language)
        case .connectionChanged(connection: .signedOut):
            home = nil
            signedOut = true
        // Each of these is followed by homeChanged; an app may animate them.
        case .balanceChanged, .topUpChanged, .billChanged:
            break
        case .homeChanged:
            home = (try? app.cachedHome()) ?? home
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do {
            try await work()
        } catch BorsellinoError.SignedOut {
            home = nil
            signedOut = true
        } catch let error as BorsellinoError {
            trouble = error.sentence(language)
        } catch {
            trouble = BorsellinoError.Closed.sentence(language)
        }
    }
}
