/*
 * Imports a whole pathopipe output folder into the open QuPath project.
 *
 * For every image of the project whose file is one that pathopipe analysed, the cells (cells.geojson.zip) and the
 * regions (annotations.geojson) are added to its hierarchy, and the image's data are saved. Objects of an earlier
 * import are replaced, your corrections of them too: they are known by their ids, which a cell keeps as long as its
 * slide and outline stay the same. After a run with another model or other settings the outlines differ: delete the
 * old detections first. Whatever else is in the image, your own annotations included, is left alone.
 *
 * In QuPath (0.4 or later): open the project, then Automate > Script editor, open this file, Run; it asks for the
 * folder (in 0.4: write it into FOLDER below). The image that is open in the viewer shows its new objects once it is
 * opened anew; save or discard your own changes to it before.
 *
 * From a shell, with QuPath closed; once for the whole project, so without QuPath's own --project:
 *
 *     QuPath script --args /path/to/results --args /path/to/project.qpproj import_pathopipe.groovy
 */
import java.awt.image.BufferedImage
import qupath.lib.gui.QuPathGUI
import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObject
import qupath.lib.projects.ProjectIO
import qupath.lib.projects.ProjectImageEntry
import qupath.lib.scripting.QP

String FOLDER = ''      // the output folder of pathopipe, such as '/data/results'; empty: ask

// ---------------------------------------------------------------- where from, where to

List<String> given = []
try {
    given = (args ?: []) as List<String>
} catch (MissingPropertyException ignored) {
    // run without arguments
}
File folder = FOLDER ? new File(FOLDER) : given ? new File(given[0]) : askForFolder()
if (folder == null || !folder.isDirectory()) {
    println folder == null ? 'No folder was chosen: nothing done.' : "${folder} is not a folder: nothing done."
    return
}
def project = given.size() > 1 ? ProjectIO.loadProject(new File(given[1]), BufferedImage) : QP.getProject()
if (project == null) {
    println 'No project is open: create or open one with your slides first, or give it as the second argument.'
    return
}

// ---------------------------------------------------------------- what was analysed

// File name of the slide -> its results. Two slides of one name are kept apart by their whole path below.
Map<String, List<Map>> analysed = [:].withDefault { [] }
folder.listFiles()?.findAll { new File(it, 'slide.json').isFile() }?.sort()?.each { File results ->
    def record = GsonTools.getInstance().fromJson(new File(results, 'slide.json').getText('UTF-8'), Map)
    if (record.status in ['complete', 'incomplete']) {
        analysed[nameOf(record.slide as String)] << [slide: record.slide as String, status: record.status, dir: results]
    } else {
        println "${results.name}: ${record.status}, nothing to import (${record.error})"
    }
}
if (analysed.isEmpty()) {
    println "${folder} holds no analysed slide: choose the folder given to --out."
    return
}

// ---------------------------------------------------------------- image by image

int images = 0, objects = 0
List<String> without = [], failed = []
Set<File> used = []
for (ProjectImageEntry entry in project.getImageList()) {
    Map found = resultsOf(entry, analysed)
    if (found == null) {
        without << entry.getImageName()
        continue
    }
    try {
        int added = importInto(entry, found.dir as File)
        println "${entry.getImageName()}: ${added} objects" +
                (found.status == 'incomplete' ? ' (incomplete: see the regions "Not analysed")' : '')
        used << (found.dir as File)
        images++
        objects += added
    } catch (Exception e) {
        // One image that cannot be imported must not stop the others.
        failed << "${entry.getImageName()}: ${e.getMessage() ?: e.class.simpleName}".toString()
    }
}
project.syncChanges()

println "\n${objects} objects in ${images} images."
if (without) println "Images without results: ${without.join(', ')}"
if (failed) println "Failed:\n  ${failed.join('\n  ')}"
def unused = analysed.values().flatten().collect { it.dir as File }.findAll { !used.contains(it) }
if (unused) println "Results without an image in this project: ${unused*.name.join(', ')}"

// ---------------------------------------------------------------- how

/** Reads the two files, replaces what an earlier import left, adds, saves. Returns the number of objects added. */
int importInto(ProjectImageEntry entry, File results) {
    List<PathObject> fresh = []
    for (name in ['annotations.geojson', 'cells.geojson.zip']) {
        def file = new File(results, name)
        if (!file.isFile()) throw new IOException("${file} is missing; run pathopipe again")
        fresh.addAll(PathIO.readObjects(file))
    }
    def data = entry.readImageData()
    try {
        def hierarchy = data.getHierarchy()
        Set<UUID> ids = fresh.collect { it.getID() } as Set
        def earlier = hierarchy.getAllObjects(false).findAll { ids.contains(it.getID()) }
        hierarchy.removeObjects(earlier, true)
        hierarchy.addObjects(fresh)
        entry.saveImageData(data)
    } finally {
        data.getServer().close()
    }
    return fresh.size()
}

/** The results of an image: by the name of its file, and by the whole path where several slides have that name. */
Map resultsOf(ProjectImageEntry entry, Map<String, List<Map>> analysed) {
    for (URI uri in entry.getURIs()) {
        List<Map> same = analysed.get(nameOf(uri.getPath() ?: uri.toString()))
        if (!same) continue
        if (same.size() == 1) return same[0]
        String path = (uri.getPath() ?: '').replace('\\', '/')
        def exact = same.findAll { path.endsWith((it.slide as String).replace('\\', '/')) }
        if (exact.size() == 1) return exact[0]
        println "${entry.getImageName()}: ${same.size()} results are for a slide of that name; import the right one by hand"
        return null
    }
    return null
}

/** The file name at the end of a path or address, of Windows too. */
String nameOf(String path) {
    return path.replace('\\', '/').replaceAll('/+$', '').tokenize('/').with { it ? it.last() : path }
}

/** The folder that the user chooses; null where none is, or where nobody can be asked. */
File askForFolder() {
    if (QuPathGUI.getInstance() == null) return null
    try {
        return Class.forName('qupath.fx.dialogs.FileChoosers').promptForDirectory('Output folder of pathopipe', null)
    } catch (ClassNotFoundException ignored) {
        println 'This QuPath is older than 0.5: write the folder into FOLDER at the top of this script.'
        return null
    }
}
