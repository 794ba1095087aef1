// Android only, not compiled by this module. A push says that something changed, and nothing else: `title_loc_key` and
// `body_loc_key`. What changed is fetched through the app core, and only then put into words.
package it.borsellino.android

import android.app.NotificationManager
import android.app.PendingIntent
import android.content.Intent
import android.net.Uri
import androidx.core.app.NotificationCompat
import com.google.firebase.messaging.FirebaseMessagingService
import com.google.firebase.messaging.RemoteMessage
import it.borsellino.BorsellinoException
import it.borsellino.HomeView
import it.borsellino.TopUpState
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull

class PushService : FirebaseMessagingService() {
    private companion object {
        const val CHANNEL = "payments"
        const val SERVER = "https://mensa.example"
        // Firebase gives a message about twenty seconds on this thread.
        const val PATIENCE_MS = 15_000L
    }

    // Not the screen's thread: it may wait.
    override fun onMessageReceived(message: RemoteMessage) {
        val home = runBlocking { withTimeoutOrNull(PATIENCE_MS) { fetched() } }
        val text = home?.let(::news) ?: generic(message) ?: return
        val open = Intent(Intent.ACTION_VIEW, Uri.parse("$SERVER/app/home")).setPackage(packageName)
        val notification = NotificationCompat.Builder(this, CHANNEL)
            .setSmallIcon(applicationInfo.icon)
            .setContentTitle(applicationInfo.loadLabel(packageManager))
            .setContentText(text)
            // Names and amounts are for whoever unlocks the phone.
            .setVisibility(NotificationCompat.VISIBILITY_PRIVATE)
            .setContentIntent(PendingIntent.getActivity(this, 0, open, PendingIntent.FLAG_IMMUTABLE))
            .setAutoCancel(true)
            .build()
        getSystemService(NotificationManager::class.java).notify(0, notification)
    }

    private suspend fun fetched(): HomeView? = try {
        val app = Phone.open(this, SERVER)
        app.resume()
        app.cachedHome()
    } catch (_: BorsellinoException) {
        // Offline, locked, signed out: then the generic words.
        null
    }

    /** The newest thing that a parent wants to hear of. */
    private fun news(home: HomeView): String? =
        home.topUps.firstOrNull { it.state is TopUpState.Paid }?.let { "${it.amount.text} ${it.serviceName}: ${it.sentence}" }
            ?: home.movements.firstOrNull()?.sentence

    /** What the push itself says: the name of one of this app's texts. */
    private fun generic(message: RemoteMessage): String? {
        val key = message.notification?.bodyLocalizationKey ?: message.data["body_loc_key"] ?: return null
        val id = resources.getIdentifier(key, "string", packageName)
        return if (id == 0) null else getString(id)
    }
}
