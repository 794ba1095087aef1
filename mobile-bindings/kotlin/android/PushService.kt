// Android only, not compiled by this module. A push says that something changed, and nothing else. What changed is fetched through
// the app core, which also says whether there is anything to show, and only then put into words.
package it.borsellino.android

import android.app.NotificationManager
import android.app.PendingIntent
import android.content.Context
import android.content.Intent
import android.net.Uri
import androidx.core.app.NotificationCompat
import com.google.firebase.messaging.FirebaseMessaging
import com.google.firebase.messaging.FirebaseMessagingService
import com.google.firebase.messaging.RemoteMessage
import it.borsellino.BorsellinoException
import it.borsellino.Platform
import it.borsellino.PushNews
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.tasks.await
import kotlinx.coroutines.withTimeoutOrNull

class PushService : FirebaseMessagingService() {
    companion object {
        private const val CHANNEL = "payments"
        private const val SERVER = "https://mensa.example"
        // Firebase gives a message about twenty seconds on this thread.
        private const val PATIENCE_MS = 15_000L

        /** At each start of the app, also before anybody signs in. */
        suspend fun register(context: Context) = tell(context, FirebaseMessaging.getInstance().token.await())

        private suspend fun tell(context: Context, token: String) {
            try {
                // Kept once this returns; the servers are told when the network is there.
                Phone.open(context, SERVER).registerPush(token, Platform.ANDROID)
            } catch (_: BorsellinoException) {
                // Locked, full: the next start says it again.
            }
        }
    }

    // Not the screen's thread: it may wait.
    override fun onNewToken(token: String) = runBlocking { tell(this@PushService, token) }

    override fun onMessageReceived(message: RemoteMessage) {
        val news = runBlocking { withTimeoutOrNull(PATIENCE_MS) { news(message) } } ?: PushNews(true, null, null)
        val text = news.text ?: words(message, "body_key", "body")
        if (!news.show || text == null) return
        val open = Intent(Intent.ACTION_VIEW, Uri.parse("$SERVER/app/home")).setPackage(packageName)
        val notification = NotificationCompat.Builder(this, CHANNEL)
            .setSmallIcon(applicationInfo.icon)
            .setContentTitle(words(message, "title_key", "title"))
            .setContentText(text)
            .setStyle(NotificationCompat.BigTextStyle().bigText(text))
            // Names and amounts are for whoever unlocks the phone.
            .setVisibility(NotificationCompat.VISIBILITY_PRIVATE)
            .setContentIntent(PendingIntent.getActivity(this, 0, open, PendingIntent.FLAG_IMMUTABLE))
            .setAutoCancel(true)
            .build()
        // One place for each push: the same one again replaces itself.
        getSystemService(NotificationManager::class.java).notify(message.data["id"], 0, notification)
    }

    private suspend fun news(message: RemoteMessage): PushNews? = try {
        Phone.open(this, SERVER).pushReceived(message.data)
    } catch (_: BorsellinoException) {
        // Locked: then the generic words.
        null
    }

    /** What the push itself says: the name of one of this app's texts, or the words beside it. */
    private fun words(message: RemoteMessage, key: String, plain: String): String? {
        val id = message.data[key]?.let { resources.getIdentifier(it, "string", packageName) } ?: 0
        return if (id == 0) message.data[plain] else getString(id)
    }
}
