// The way of a top-up over the real library and a real server, on a Mac:
//     BORSELLINO_SERVER=../../target/debug/borsellino swift test
import Foundation
import XCTest

@testable import BorsellinoKit

/// Holds secrets in memory, and can be told to fail.
final class MemoryStore: SecureStore, @unchecked Sendable {
    private let lock = NSLock()
    private var kept: [String: Data] = [:]
    var failure: Error?

    private func locked<T>(_ work: () throws -> T) throws -> T {
        lock.lock()
        defer { lock.unlock() }
        if let failure { throw failure }
        return try work()
    }

    func get(key: String) throws -> Data? { try locked { kept[key] } }
    func set(key: String, value: Data) throws { try locked { kept[key] = value } }
    func remove(key: String) throws { try locked { kept[key] = nil } }
}

#if os(macOS)
/// What `borsellino demo --json` prints.
struct Demo: Decodable {
    let grpc: String
    let sandbox: String
    let activation_code: String

    static let process = Process()
    static let running: Demo = {
        let program = ProcessInfo.processInfo.environment["BORSELLINO_SERVER"] ?? "../../target/debug/borsellino"
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["demo", "--json", "--port", "0", "--node-port", "0", "--sandbox-port", "0"]
        process.standardOutput = pipe
        try! process.run()
        atexit { Demo.process.terminate() }
        var line = Data()
        while let byte = try! pipe.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) {
            line += byte
        }
        return try! JSONDecoder().decode(Demo.self, from: line)
    }()

    /// Pays on the pagoPA page at `url`.
    func pay(page url: String) async throws {
        let cart = url.split(separator: "/").last ?? ""
        var request = URLRequest(url: URL(string: "\(sandbox)/api/carts/\(cart)/pay")!)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "content-type")
        request.httpBody = Data("{}".utf8)
        let (answer, _) = try await URLSession.shared.data(for: request)
        XCTAssertTrue(String(decoding: answer, as: UTF8.self).contains("\"paid\""))
    }
}

final class WholeWayTests: XCTestCase {
    private func open(_ store: SecureStore = MemoryStore(), url: String = Demo.running.grpc) async throws -> Borsellino {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        let config = Config(dataDir: folder.path, serverUrl: url, language: .english)
        return try await Borsellino.open(config: config, store: store)
    }

    func testFromTheActivationCodeToTheBalanceThatGrew() async throws {
        let app = try await open()
        XCTAssertNil(try app.cachedHome())
        let creditor = try await app.activate(code: Demo.running.activation_code)
        _ = try await app.signIn(creditor: creditor.fiscalCode, username: "maria.bianchi", password: "borsellino-demo")
        let home = try await app.refreshHome()
        let wallet = home.children[0].wallets[0]
        var events = try app.events().makeAsyncIterator()
        while let event = await events.next(), event != .connectionChanged(connection: .live) {}
        let topUp = try await app.startTopUp(wallet: wallet.id, amount: 2_000, payBy: .online)
        try await Demo.running.pay(page: XCTUnwrap(topUp.checkoutUrl))
        while let event = await events.next() {
            if case .balanceChanged(let change) = event {
                XCTAssertEqual(change.after.cents, wallet.balance.cents + 2_000)
                break
            }
        }
        await app.shutdown()
        do {
            _ = try await app.refreshHome()
            XCTFail("it was shut down")
        } catch BorsellinoError.Closed {}
    }

    func testEachFailureOfTheStorageHasItsName() async throws {
        struct Anything: Error {}
        let failures: [(Error, SecureStoreError)] = [
            (SecureStoreError.Locked, .Locked), (SecureStoreError.Denied, .Denied), (Anything(), .Failed),
        ]
        for (failure, expected) in failures {
            let store = MemoryStore()
            store.failure = failure
            do {
                _ = try await open(store)
                XCTFail("it failed with \(failure)")
            } catch BorsellinoError.SecureStore(let why) {
                XCTAssertEqual(why, expected)
            }
        }
    }

    func testWhatIsNotOfItsForm() async throws {
        let app = try await open(url: "http://127.0.0.1:1")
        for (code, expected) in [("12", BorsellinoError.Invalid(what: .activationCode)), ("0000000000", .Offline)] {
            do {
                _ = try await app.activate(code: code)
                XCTFail(code)
            } catch let error as BorsellinoError {
                XCTAssertEqual(error, expected)
                XCTAssertFalse(error.sentence(.italian).isEmpty)
            }
        }
        do {
            _ = try await app.register(
                creditor: "99900010010", fiscalCode: "RSSMRT85C41H501A", officeCode: "0R1GT-4V7ZK-92MZZ", username: "marta",
                password: "il gatto mangia alle sette"
            )
            XCTFail("a slip of the pen")
        } catch BorsellinoError.Refused(let refusal) {
            XCTAssertEqual(refusal.reason, .officeCodeMistyped)
        }
        XCTAssertEqual(try parseAmount(text: "20,50"), 2_050)
        await app.shutdown()
    }
}
#endif
