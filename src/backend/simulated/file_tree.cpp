// The walk along a path: path_resolution(7), without links and permissions.
//
// A path is walked part by part, and each part but the last must be a folder that exists. So
// "nothing/../a" fails although its parts would cancel each other, as in Linux. The last part may
// be missing, because some callers are about to make it.

#include "backend/simulated/file_tree.h"

#include <algorithm>
#include <cerrno>
#include <climits>

namespace asyncio::lowlevel::simulated {
namespace {

/// Takes the slashes at the beginning off.
void skip_slashes(std::string_view& path) noexcept {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
}

/// Takes the first part off, and returns it.
std::string_view take_part(std::string_view& path) noexcept {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

/// The folder above. The root is above itself. A removed folder has none above it.
Folder* above(Folder& folder) noexcept { return folder.folder; }

/// The walk has failed on its way.
Place nowhere(int error) noexcept {
    Place place;
    place.error = error;
    return place;
}

/// The last part is ".", ".." or nothing at all, and so names a folder that exists.
Place at_folder(Folder* folder, bool upwards) noexcept {
    if (folder == nullptr) return nowhere(-ENOENT);
    Place place;
    place.folder = above(*folder);
    place.node = folder;
    place.means_folder = true;
    place.ends_upwards = upwards;
    return place;
}

/// The last part is a name, whether the folder has it or not.
Place at_name(Folder& folder, std::string_view name, bool means_folder) noexcept {
    Place place;
    place.folder = &folder;
    place.name = name;
    place.node = folder.find(name);
    place.means_folder = means_folder;
    return place;
}

}  // namespace

/// Bounded by the length of the path: each round takes a part off.
Place walk(Folder& root, Folder& start, std::string_view path) noexcept {
    if (path.empty()) return nowhere(-ENOENT);
    if (path.size() >= PATH_MAX) return nowhere(-ENAMETOOLONG);
    Folder* here = path.front() == '/' ? &root : &start;
    skip_slashes(path);
    if (path.empty()) return at_folder(&root, false);
    for (;;) {
        // A folder that was removed has no names, and nothing is above it.
        if (!here->is_named()) return nowhere(-ENOENT);
        const std::string_view part = take_part(path);
        const bool has_slash = !path.empty();
        skip_slashes(path);
        if (part.size() > NAME_MAX) return nowhere(-ENAMETOOLONG);
        const bool upwards = part == "..";
        const bool stays = part == ".";
        if (path.empty() && (upwards || stays))
            return at_folder(upwards ? above(*here) : here, upwards);
        if (path.empty()) return at_name(*here, part, has_slash);
        if (stays) continue;
        Node* next = upwards ? above(*here) : here->find(part);
        if (next == nullptr) return nowhere(-ENOENT);
        if (!next->is_folder()) return nowhere(-ENOTDIR);
        here = next->as_folder();
    }
}

}  // namespace asyncio::lowlevel::simulated
