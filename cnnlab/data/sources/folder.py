"""`folder:/path`: images in one folder per class.

    /path/train/<class>/*.jpg        or, for one split called train,   /path/<class>/*.jpg
    /path/validation/<class>/*.jpg   (also val, valid)
    /path/test/<class>/*.jpg

`cnnlab.data.sources.class_folders` tells what the classes, the splits and the order are, and
`file_pattern` how paths such as `folder:/path/s{label}/{image}.pgm` are read.
"""

import numpy as np

from cnnlab.data.preprocess.decode import EXTENSIONS, decode
from cnnlab.data.sources.class_folders import FileSource, Kind
from cnnlab.data.sources.file_pattern import list_files
from cnnlab.data.sources.info import Info

KIND = Kind("folder", "images", EXTENSIONS)


class FolderSource(FileSource):
    """RGB images of any size with the label of their folder."""

    def __init__(self, path: str, split: str, *, exif: bool = True):
        """List the files that `split` selects; none is opened yet.

        Raises:
            UserError: if `path` does not hold at least two classes of images laid out as above.
        """
        self._exif = exif
        class_names, self._files, self._keys = list_files(KIND, path, split)
        numbers = dict.fromkeys(("label", *self._keys), ((), "int32"))
        spec = {"image": ((None, None, 3), "uint8"), **numbers}
        self.info = Info(f"folder:{path}", split, class_names, spec)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        file = self._files[index]
        image = decode(file.folder / file.place, exif=self._exif, index=int(index))
        return {"image": image, **file.numbers(self._keys)}
