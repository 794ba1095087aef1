// Notices, receipts, certificates and statements, without the widgets: a document is fetched, written to a file that other apps
// may be given, and gone when the screen closes. Nothing here is Android's, so that it is tested on the JVM.
package it.borsellino

import java.io.File
import java.io.IOException
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch

/** What is on the screen. */
data class Papers(
    /** To show, share or print. */
    val files: List<File> = emptyList(),
    /** How old they are, where the server could not be asked. */
    val asOf: String? = null,
    /** What became of an e-mail. */
    val sent: String? = null,
    /** A sentence for the parent, and what to do. */
    val trouble: String? = null,
)

/** `folder` is one of the app's own that nothing else is kept in, such as `cacheDir/documents`. */
class DocumentScreen(
    private val app: Borsellino,
    private val account: AccountKey,
    private val folder: File,
    private val language: Language,
    private val scope: CoroutineScope,
) {
    private val shown = MutableStateFlow(Papers())

    /** What is on the screen. */
    val screen: StateFlow<Papers> = shown

    /** Fetches a document; without the network what was fetched before. */
    fun open(document: Document) = attempt {
        val got = app.documents(account, document)
        folder.mkdirs()
        // The app core's names are no paths. From here on the bytes are on the disk and not in memory.
        val files = got.map { file -> File(folder, file.name).apply { writeBytes(file.content) } }
        val asOf = got.firstOrNull { it.fromCache }?.asOfText
        shown.update { Papers(files, asOf) }
    }

    /** By e-mail: to the address on file, or to another one. */
    fun send(notice: NoticeOf, address: String? = null) = attempt {
        val sent = app.sendNotice(account, notice, address)
        shown.update { it.copy(sent = sent.sentence, trouble = null) }
    }

    /** The screen closes: the app core keeps its own copy, sealed. */
    fun close() {
        folder.deleteRecursively()
        shown.value = Papers()
    }

    private fun attempt(work: suspend () -> Unit) = scope.launch {
        try {
            work()
        } catch (stopped: CancellationException) {
            throw stopped
        } catch (error: BorsellinoException) {
            shown.update { it.copy(trouble = error.sentence(language)) }
        } catch (_: IOException) {
            // No room for the file.
            shown.update { it.copy(trouble = BorsellinoException.Cache(CacheProblem.Full).sentence(language)) }
        }
    }
}
