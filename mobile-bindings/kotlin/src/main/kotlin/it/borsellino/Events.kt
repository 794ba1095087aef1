// The app core's events as a Flow.
package it.borsellino

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext

/**
 * What happens, in order, from the moment it is collected until collecting ends. Collect it where the screen lives: the
 * app core calls from a thread of its own, the flow brings it over.
 *
 * Throws `SignedOut` and `Closed` where collecting begins.
 */
fun Borsellino.events(): Flow<Event> = flow {
    // Never full: the app core must not wait for a screen.
    val told = Channel<Event>(Channel.UNLIMITED)
    val watch = watch(object : Listener {
        override fun onEvent(event: Event) {
            told.trySend(event)
        }
    })
    try {
        for (event in told) emit(event)
    } finally {
        // Once this returns the listener is not called any more.
        withContext(NonCancellable) { watch.stop() }
        watch.close()
    }
}

/** What to tell the parent, in `language`. */
fun BorsellinoException.sentence(language: Language): String = errorSentence(this, language)
