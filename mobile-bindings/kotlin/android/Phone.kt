// Android only, not compiled by this module. One app core for the whole process: activities, services and pushes share it.
package it.borsellino.android

import android.content.Context
import it.borsellino.Borsellino
import it.borsellino.Config
import it.borsellino.Language
import java.io.File
import java.util.Locale
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

object Phone {
    private val turn = Mutex()
    private var app: Borsellino? = null

    /** The language of every sentence: German and English where the phone speaks them, else Italian. */
    val language: Language
        get() = when (Locale.getDefault().language) {
            "de" -> Language.GERMAN
            "en" -> Language.ENGLISH
            else -> Language.ITALIAN
        }

    /** Opened with the first use. Where it throws `SecureStore` with `Locked`, try again once the phone is unlocked. */
    suspend fun open(context: Context, serverUrl: String): Borsellino = turn.withLock {
        // A screen that closes meanwhile must not leave an app core behind that nobody has.
        app ?: withContext(NonCancellable) {
            val config = Config(
                // `noBackupFilesDir`: what is sealed with this phone's key is of no use on another one.
                dataDir = File(context.applicationContext.noBackupFilesDir, "borsellino").path,
                serverUrl = serverUrl,
                language = language,
                deviceName = android.os.Build.MODEL,
            )
            Borsellino.open(config, KeystoreStore(context.applicationContext)).also { app = it }
        }
    }
}
