// Android only, not compiled by this module. The first screen on a screen: Jetpack Compose over FirstScreen, the pagoPA page in
// the browser, and the way back.
package it.borsellino.android

import android.content.Intent
import android.net.Uri
import android.os.Bundle
import androidx.activity.ComponentActivity
import androidx.activity.compose.setContent
import androidx.browser.customtabs.CustomTabsIntent
import androidx.compose.foundation.layout.Column
import androidx.compose.material3.Button
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.collectAsState
import androidx.compose.runtime.getValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.semantics
import androidx.lifecycle.lifecycleScope
import it.borsellino.FirstScreen
import it.borsellino.PayBy
import kotlinx.coroutines.flow.mapNotNull
import kotlinx.coroutines.launch

class HomeActivity : ComponentActivity() {
    private var screen: FirstScreen? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        lifecycleScope.launch {
            val app = Phone.open(this@HomeActivity, "https://mensa.example")
            val first = FirstScreen(app, Phone.language, lifecycleScope).also { screen = it }
            setContent { Home(first) }
            first.start()
            launch { PushService.register(this@HomeActivity) }
            first.screen.mapNotNull { it.page }.collect { page ->
                // A browser that the parent knows, never a web view: the bank's page asks for secrets.
                CustomTabsIntent.Builder().build().launchUrl(this@HomeActivity, Uri.parse(page))
                first.pageOpened()
            }
        }
    }

    override fun onStart() {
        super.onStart()
        screen?.start()
    }

    override fun onStop() {
        super.onStop()
        screen?.stop()
    }

    /** Back from pagoPA by an app link. Whatever the address says, it proves no payment: only ask how things stand. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        if (intent.action == Intent.ACTION_VIEW) screen?.refresh()
    }
}

@Composable
private fun Home(first: FirstScreen) {
    val screen by first.screen.collectAsState()
    Column {
        screen.trouble?.let { Text(it) }
        screen.home?.let { home ->
            Text(home.asOfText)
            for (child in home.children) {
                Text(child.name)
                for (wallet in child.wallets) {
                    Text(wallet.balanceText, Modifier.semantics { contentDescription = wallet.spoken })
                    wallet.suggested?.let { amount ->
                        Button(onClick = { first.topUp(wallet.id, amount.cents, PayBy.ONLINE) }) { Text(amount.text) }
                    }
                }
            }
            home.topUps.forEach { Text("${it.amount.text}: ${it.sentence}") }
        }
    }
}
