// Android only, not compiled by this module. A document in another app's hands, and on paper.
package it.borsellino.android

import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.os.CancellationSignal
import android.os.ParcelFileDescriptor
import android.print.PageRange
import android.print.PrintAttributes
import android.print.PrintDocumentAdapter
import android.print.PrintDocumentInfo
import android.print.PrintManager
import androidx.core.content.FileProvider
import java.io.File
import java.io.FileOutputStream

/** Where files for other apps lie: `cache-path` "documents/" in res/xml/files.xml of the FileProvider. */
fun documentsFolder(context: Context) = File(context.cacheDir, "documents")

/** Shows a document in the app that the parent reads PDFs with. */
fun show(context: Context, file: File) = context.startActivity(handOver(context, file, Intent.ACTION_VIEW))

/** Lets the parent choose who gets it. */
fun share(context: Context, file: File) =
    context.startActivity(Intent.createChooser(handOver(context, file, Intent.ACTION_SEND), null))

private fun handOver(context: Context, file: File, action: String): Intent {
    val uri = FileProvider.getUriForFile(context, context.packageName + ".files", file)
    val type = if (file.extension == "xml") "application/xml" else "application/pdf"
    return Intent(action).apply {
        if (action == Intent.ACTION_SEND) setType(type).putExtra(Intent.EXTRA_STREAM, uri) else setDataAndType(uri, type)
        // This file, to the app that is chosen, and nothing else.
        addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
    }
}

/** On paper. */
fun print(context: Context, file: File) {
    val printer = context.getSystemService(Context.PRINT_SERVICE) as PrintManager
    printer.print(file.name, PdfOfFile(file), null)
}

private class PdfOfFile(private val file: File) : PrintDocumentAdapter() {
    override fun onLayout(
        old: PrintAttributes?, new: PrintAttributes, cancel: CancellationSignal?, callback: LayoutResultCallback, extras: Bundle?,
    ) {
        val info = PrintDocumentInfo.Builder(file.name).setContentType(PrintDocumentInfo.CONTENT_TYPE_DOCUMENT).build()
        callback.onLayoutFinished(info, old != new)
    }

    override fun onWrite(
        pages: Array<out PageRange>, to: ParcelFileDescriptor, cancel: CancellationSignal?, callback: WriteResultCallback,
    ) {
        file.inputStream().use { from -> FileOutputStream(to.fileDescriptor).use(from::copyTo) }
        callback.onWriteFinished(arrayOf(PageRange.ALL_PAGES))
    }
}
