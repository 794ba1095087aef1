// What a parent does before anybody is in, without the widgets: to get an account with a code from the office, and to get back
// into it.
import Foundation

@MainActor
public final class EntranceScreen: ObservableObject {
    /// The recovery that is under way: show its two digits.
    @Published public private(set) var recovery: RecoveryView?
    /// What was proved so far; ask for the new password once it is enough.
    @Published public private(set) var proofs: Proofs?
    /// The parent is in: show the first screen; and the user name, in case it was forgotten.
    @Published public private(set) var account: AccountView?
    @Published public private(set) var username: String?
    /// A sentence for the parent, and what to do.
    @Published public private(set) var trouble: String?

    private let app: Borsellino
    private let language: Language

    public init(app: Borsellino, language: Language) {
        self.app = app
        self.language = language
    }

    /// The screen opens: an app that was closed while the parent read the e-mail goes on.
    public func open() async {
        await attempt { recovery = try await app.recovery() }
    }

    /// The first time, with the ten digits of the letter and the fifteen characters from the office.
    public func register(
        code: String, fiscalCode: String, officeCode: String, username: String, password: String
    ) async {
        await attempt {
            let creditor = try await app.activate(code: code)
            // Without an answer tap again: who has registered already is signed in.
            account = try await app.register(
                creditor: creditor.fiscalCode, fiscalCode: fiscalCode, officeCode: officeCode, username: username,
                password: password
            )
        }
    }

    /// The password is forgotten. `who` is the user name or the codice fiscale.
    public func forgot(code: String, who: String) async {
        await attempt {
            let creditor = try await app.activate(code: code)
            recovery = try await app.startRecovery(creditor: creditor.fiscalCode, who: who)
            proofs = nil
        }
    }

    public func proveOffice(code: String) async {
        await attempt { proofs = try await app.proveOffice(code: code) }
    }

    public func proveEmail(code: String) async {
        await attempt { proofs = try await app.proveEmail(code: code) }
    }

    /// The parent has confirmed on another device, or comes back to this screen.
    public func look() async {
        await attempt { proofs = try await app.proofs() }
    }

    /// The new password, once the proofs are enough.
    public func finish(newPassword: String) async {
        await attempt {
            let recovered = try await app.finishRecovery(newPassword: newPassword)
            (account, username, recovery, proofs) = (recovered.account, recovered.username, nil, nil)
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do {
            try await work()
            trouble = nil
        } catch let error as BorsellinoError {
            // What has ended is begun again; everything else is tried again where it is.
            if case .Refused(let refusal) = error, refusal.reason == .recoveryEnded {
                (recovery, proofs) = (nil, nil)
            }
            trouble = error.sentence(language)
        } catch {
            trouble = BorsellinoError.Closed.sentence(language)
        }
    }
}
