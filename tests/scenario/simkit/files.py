"""Files that are either complete or absent."""

import os
import tempfile


def write_atomically(path, content, mode=0o644):
    """Replaces a file in one step. Not synced: the simulator need not survive a power failure."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
