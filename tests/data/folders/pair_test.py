import shutil

import pytest


@pytest.mark.parametrize("how", ["same folder", "copy", "link"])
def test_an_image_in_pool_and_evaluation(tree, how):
    image = tree.root / "pool" / "images" / "drive" / "pool_1.png"
    label = tree.root / "pool" / "labels" / "drive" / "pool_1.png"
    if how == "same folder":
        tree.config.evaluation.update(images="pool/images", labels="pool/labels", pattern=("*_1*",))
    else:
        shutil.copy(label, tree.root / "evaluation" / "labels" / "drive" / "other.png")
        target = tree.root / "evaluation" / "images" / "drive" / "other.png"
        if how == "copy":
            shutil.copy(image, target)
        else:
            target.symlink_to(image)
    tree.fails("1 images are both in the pool", "pool_1.png")
