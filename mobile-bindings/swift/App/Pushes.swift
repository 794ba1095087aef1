// For the app, not part of the package: Firebase's token goes to the app core, and a push that comes while the app is open is shown
// only where the screen has not shown it.
import BorsellinoKit
import FirebaseMessaging
import UIKit
import UserNotifications

/// Name it with `@UIApplicationDelegateAdaptor`; FirebaseApp.configure() comes before it.
final class Pushes: NSObject, UIApplicationDelegate, MessagingDelegate, UNUserNotificationCenterDelegate {
    func application(
        _ application: UIApplication, didFinishLaunchingWithOptions options: [UIApplication.LaunchOptionsKey: Any]?
    ) -> Bool {
        Messaging.messaging().delegate = self
        UNUserNotificationCenter.current().delegate = self
        application.registerForRemoteNotifications()
        return true
    }

    /// At each start, also before anybody signs in, and whenever it changes.
    func messaging(_ messaging: Messaging, didReceiveRegistrationToken token: String?) {
        guard let token else { return }
        Task {
            // Kept once this returns; the servers are told when the network is there. Locked, full: the next start says it again.
            try? await MensaApp.phone.open().registerPush(token: token, platform: .ios)
            // Not to be suspended with the shared database open.
            let asleep = await MainActor.run { UIApplication.shared.applicationState == .background }
            if asleep { await MensaApp.phone.close() }
        }
    }

    /// The app is open.
    func userNotificationCenter(
        _ center: UNUserNotificationCenter, willPresent notification: UNNotification
    ) async -> UNNotificationPresentationOptions {
        let data = pushData(notification.request.content.userInfo)
        let news = try? await MensaApp.phone.open().pushReceived(data: data)
        return news?.show == false ? [] : [.banner, .sound]
    }
}
