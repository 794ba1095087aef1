// Android only, not compiled by this module. The secure store over Android's Keystore: a key that never leaves it seals what
// lies in private preferences. Exclude `borsellino-secrets` and the data folder from backups (docs/first-screen-kotlin.md).
package it.borsellino.android

import android.content.Context
import android.os.Build
import android.os.UserManager
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import android.util.Base64
import it.borsellino.SecureStore
import it.borsellino.SecureStoreException
import java.security.GeneralSecurityException
import java.security.KeyStore
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

class KeystoreStore(private val context: Context) : SecureStore {
    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val ALIAS = "borsellino"
        const val CIPHER = "AES/GCM/NoPadding"
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }

    // Opened with the first use: before the first unlock its file can't be read.
    private val kept by lazy { context.getSharedPreferences("borsellino-secrets", Context.MODE_PRIVATE) }

    override fun get(key: String): ByteArray? = guarded {
        kept.getString(key, null)?.let {
            val sealed = Base64.decode(it, Base64.NO_WRAP)
            val cipher = Cipher.getInstance(CIPHER)
            cipher.init(Cipher.DECRYPT_MODE, secret(), GCMParameterSpec(TAG_BITS, sealed, 0, NONCE_BYTES))
            // One value can't be put in another's place.
            cipher.updateAAD(key.toByteArray())
            cipher.doFinal(sealed, NONCE_BYTES, sealed.size - NONCE_BYTES)
        }
    }

    override fun set(key: String, value: ByteArray) = guarded {
        val cipher = Cipher.getInstance(CIPHER)
        cipher.init(Cipher.ENCRYPT_MODE, secret())
        cipher.updateAAD(key.toByteArray())
        val sealed = cipher.iv + cipher.doFinal(value)
        // `commit`, not `apply`: it has to be on the disk once this returns.
        durably(kept.edit().putString(key, Base64.encodeToString(sealed, Base64.NO_WRAP)).commit())
    }

    override fun remove(key: String) = guarded { durably(kept.edit().remove(key).commit()) }

    private fun durably(done: Boolean) {
        if (!done) throw SecureStoreException.Failed()
    }

    private fun secret(): SecretKey {
        val store = KeyStore.getInstance(PROVIDER).apply { load(null) }
        (store.getKey(ALIAS, null) as? SecretKey)?.let { return it }
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val wanted = KeyGenParameterSpec.Builder(ALIAS, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(256)
            .build()
        return KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER).run {
            init(wanted)
            generateKey()
        }
    }

    /** A store that is merely locked says so; anything else that Keystores throw is a failure, never "there is none". */
    private fun <T> guarded(work: () -> T): T {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.N) {
            val user = context.getSystemService(UserManager::class.java)
            if (user != null && !user.isUserUnlocked) throw SecureStoreException.Locked()
        }
        return try {
            work()
        } catch (_: GeneralSecurityException) {
            throw SecureStoreException.Failed()
        } catch (_: IllegalArgumentException) {
            throw SecureStoreException.Failed()
        }
    }
}
