// For the app's notification service extension, not part of the package. A push says that something changed, and nothing else
// (`title-loc-key`, `loc-key`, `mutable-content`). What changed is fetched through the app core, and only then put into words.
import BorsellinoKit
import UserNotifications

final class NotificationService: UNNotificationServiceExtension {
    private var fetching: Task<Void, Never>?
    private var deliver: ((UNNotificationContent) -> Void)?
    private var generic: UNNotificationContent?

    override func didReceive(
        _ request: UNNotificationRequest, withContentHandler deliver: @escaping (UNNotificationContent) -> Void
    ) {
        self.deliver = deliver
        generic = request.content
        fetching = Task {
            let content = request.content.mutableCopy() as? UNMutableNotificationContent
            let phone = SharedPhone(.init(
                appGroup: "group.example.mensa", accessGroup: "TEAMID.example.mensa",
                serverUrl: "https://mensa.example", deviceName: "iPhone"
            ))
            // Offline, locked, signed out: then the generic words.
            let news = try? await phone.open().pushReceived(data: pushData(request.content.userInfo))
            if let content, let text = news?.text {
                content.body = text
                finish(with: content)
            } else {
                finish(with: request.content)
            }
            await phone.close()
        }
    }

    /// iOS gives about thirty seconds.
    override func serviceExtensionTimeWillExpire() {
        fetching?.cancel()
        if let generic { finish(with: generic) }
    }

    private func finish(with content: UNNotificationContent) {
        deliver?(content)
        deliver = nil
    }
}
