// For the app, not part of the package: the first screen in SwiftUI, the pagoPA page in the browser, and the way back.
import BorsellinoKit
import SwiftUI

@main
struct MensaApp: App {
    @Environment(\.scenePhase) private var phase
    @State private var first: FirstScreen?
    @UIApplicationDelegateAdaptor(Pushes.self) private var pushes
    static let phone = SharedPhone(.init(
        appGroup: "group.example.mensa", accessGroup: "TEAMID.example.mensa",
        serverUrl: "https://mensa.example", deviceName: "iPhone"
    ))

    var body: some Scene {
        WindowGroup {
            if let first { HomeScreen(first: first) }
        }
        .onChange(of: phase) { phase in
            Task {
                if phase == .active, first == nil, let app = try? await Self.phone.open() {
                    first = FirstScreen(app: app, language: SharedPhone.language)
                    first?.start()
                } else if phase == .background {
                    // iOS ends an app that is suspended with a shared database open. Opening it again takes milliseconds.
                    first?.stop()
                    first = nil
                    await Self.phone.close()
                }
            }
        }
    }
}

struct HomeScreen: View {
    @ObservedObject var first: FirstScreen
    @Environment(\.openURL) private var open

    var body: some View {
        List {
            if let trouble = first.trouble { Text(trouble) }
            if let home = first.home {
                Text(home.asOfText)
                ForEach(home.children, id: \.id) { child in
                    Section(child.name) {
                        ForEach(child.wallets, id: \.id) { wallet in
                            Text(wallet.balanceText).font(.largeTitle).accessibilityLabel(wallet.spoken)
                            if let amount = wallet.suggested {
                                Button(amount.text) {
                                    Task { await first.topUp(wallet: wallet.id, amount: amount.cents, payBy: .online) }
                                }
                            }
                        }
                    }
                }
                ForEach(home.topUps, id: \.id) { Text("\($0.amount.text): \($0.sentence)") }
            }
        }
        // The browser that the parent knows, never a web view: the bank's page asks for secrets.
        .onChange(of: first.page) { page in
            if let page {
                open(page)
                first.page = nil
            }
        }
        // Back from pagoPA by a universal link. Whatever the address says, it proves no payment: only ask how things stand.
        .onOpenURL { _ in first.refresh() }
    }
}
