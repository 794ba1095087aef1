// The secure store on iOS and macOS: generic passwords of the Keychain, for this device alone.
import Foundation
import Security

/// Readable after the first unlock since the phone was switched on, because a push may come while it is locked; never in a
/// backup of another phone (`ThisDeviceOnly`).
public final class KeychainStore: SecureStore, @unchecked Sendable {
    private let service: String
    private let accessGroup: String?

    /// With `accessGroup` a notification extension of the same app shares it.
    public init(service: String, accessGroup: String? = nil) {
        self.service = service
        self.accessGroup = accessGroup
    }

    private func item(_ key: String) -> [CFString: Any] {
        var item: [CFString: Any] = [
            kSecClass: kSecClassGenericPassword,
            kSecAttrService: service,
            kSecAttrAccount: key,
            // On a Mac too: the Keychain of the data protection kind, as on a phone.
            kSecUseDataProtectionKeychain: true,
        ]
        item[kSecAttrAccessGroup] = accessGroup
        return item
    }

    private func check(_ status: OSStatus) throws {
        switch status {
        case errSecSuccess: return
        // Not before the first unlock: never taken for "there is none", or the cache would be thrown away.
        case errSecInteractionNotAllowed, errSecNotAvailable: throw SecureStoreError.Locked
        case errSecAuthFailed, errSecUserCanceled, errSecMissingEntitlement: throw SecureStoreError.Denied
        default: throw SecureStoreError.Failed
        }
    }

    public func get(key: String) throws -> Data? {
        var query = item(key)
        query[kSecReturnData] = true
        query[kSecMatchLimit] = kSecMatchLimitOne
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        try check(status)
        return found as? Data
    }

    public func set(key: String, value: Data) throws {
        let change: [CFString: Any] = [
            kSecValueData: value,
            kSecAttrAccessible: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly,
        ]
        let status = SecItemUpdate(item(key) as CFDictionary, change as CFDictionary)
        guard status == errSecItemNotFound else { return try check(status) }
        let whole = item(key).merging(change) { _, new in new }
        try check(SecItemAdd(whole as CFDictionary, nil))
    }

    public func remove(key: String) throws {
        let status = SecItemDelete(item(key) as CFDictionary)
        if status != errSecItemNotFound { try check(status) }
    }
}
