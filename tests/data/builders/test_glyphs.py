"""Drawings are made for one alphabet of each split; the builder writes one alphabet a split."""

import cv2
import numpy as np
import pytest

from cnnlab.data.builders import glyphs
from cnnlab.data.sources.source import load

ALPHABETS = (3, 61, 99)  # of train, validation and test
DRAWN = {
    a: np.stack(
        [[glyphs.draw(a, c, d) for d in glyphs.drawers(a)] for c in range(glyphs.CHARACTERS)]
    )
    for a in ALPHABETS
}


def test_splits_share_neither_alphabets_nor_drawers():
    start, seen = 0, []
    for alphabets, _ in glyphs.SPLITS.values():
        hands = [glyphs.drawers(a) for a in range(start, start + alphabets)]
        assert all(len(set(h)) == glyphs.DRAWINGS and h == sorted(h) for h in hands)
        seen.append(set().union(*hands))
        start += alphabets
    assert start == glyphs.ALPHABETS == 100
    assert [len(s) for s in seen] == [40, 16, 16]
    assert sorted(d for s in seen for d in s) == list(range(72))


def test_every_drawing_is_by_itself_and_the_same_again():
    glyphs.characters.cache_clear()
    glyphs.hand.cache_clear()
    hands = glyphs.drawers(61)
    for character, drawer in ((23, 7), (0, 0), (11, 3)):
        again = glyphs.draw(61, character, hands[drawer])
        np.testing.assert_array_equal(again, DRAWN[61][character, drawer])


def test_no_two_drawings_are_alike_and_all_are_ink_on_a_dark_margin():
    for images in DRAWN.values():
        flat = images.reshape(-1, 32, 32)
        assert len(np.unique(flat.reshape(len(flat), -1), axis=0)) == len(flat)
        assert (flat.max((1, 2)) > 200).all()
        assert (np.median(flat, axis=(1, 2)) == 0).all()
        edges = [flat[:, 0], flat[:, -1], flat[:, :, 0], flat[:, :, -1]]
        assert max(edge.max() for edge in edges) == 0


def test_characters_of_an_alphabet_differ_in_shape_whatever_their_size_and_place():
    for alphabet in ALPHABETS:
        pictures = [glyphs._thumbnail(strokes) for strokes in glyphs.characters(alphabet)]
        likeness = np.stack(pictures) @ np.stack(pictures).T
        assert len(pictures) == glyphs.CHARACTERS
        assert likeness[~np.eye(len(pictures), dtype=bool)].max() < glyphs.LIKENESS
        strokes = glyphs.characters(alphabet)[0]
        smaller = tuple(0.5 * stroke + 0.3 for stroke in strokes)
        np.testing.assert_allclose(glyphs._thumbnail(smaller), pictures[0], atol=1e-6)


def test_strokes_go_from_anchor_to_anchor_of_the_alphabet_s_grid():
    for alphabet in ALPHABETS:
        look = glyphs.style(alphabet)
        fewest, most = look.strokes
        ends = set(map(tuple, look.anchors.round(6)))
        for strokes in glyphs.characters(alphabet):
            assert fewest <= len(strokes) <= most
            # A stroke may begin on another's inner point; it ends on an anchor.
            assert all(tuple(stroke[-1].round(6)) in ends for stroke in strokes)


def test_hands_slant_and_tilt_to_either_side():
    hands = [glyphs.hand(drawer) for drawer in range(72)]
    for values, width in (([h.slant for h in hands], 0.25), ([h.tilt for h in hands], 0.12)):
        assert abs(np.mean(values)) < 4 * width / 72**0.5
        assert np.std(values) == pytest.approx(width, rel=4 / 144**0.5)


def test_pixels_tell_characters_apart_a_little_and_far_from_always():
    # Of one drawing of each character, by one drawer, the nearest to one by another.
    right = []
    for images in DRAWN.values():
        flat = images.reshape(*images.shape[:2], -1).astype(float)
        for support, query in ((0, 1), (2, 3), (4, 5), (6, 7)):
            distance = ((flat[:, query, None] - flat[None, :, support]) ** 2).sum(-1)
            right += list(distance.argmin(1) == np.arange(len(flat)))
    assert 0.15 < np.mean(right) < 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glyphs, "SPLITS", {"train": (2, 9), "validation": (1, 8), "test": (1, 8)})
        patch.setattr(glyphs, "CHARACTERS", 3)
        patch.setattr(glyphs, "ALPHABETS", 4)
        glyphs.characters.cache_clear()
        place = str(tmp_path_factory.mktemp("glyphs"))
        load("glyphs", "train", data_dir=place)
        expected = {
            (a, c, d): glyphs.draw(a, c, d)
            for a in range(4)
            for c in range(3)
            for d in glyphs.drawers(a)
        }
    glyphs.characters.cache_clear()
    return place, expected


def test_the_set_lists_alphabet_by_alphabet_what_the_seed_draws(folder):
    place, expected = folder
    found, labels = [], []
    for split, count in {"train": 48, "validation": 24, "test": 24}.items():
        source = load("glyphs", split, data_dir=place)
        assert len(source) == count
        for i in range(count):
            example = source[i]
            alphabet, label = int(example["alphabet"]), int(example["label"])
            key = (alphabet, label - 3 * alphabet, int(example["drawer"]))
            np.testing.assert_array_equal(example["image"], expected[key])
            assert example.keys() == source.info.spec.keys()
            for name, (shape, dtype) in source.info.spec.items():
                assert (example[name].shape, example[name].dtype) == (shape, dtype)
            assert source.info.class_names[label] == f"alphabet{alphabet:02}/character{key[1]:02}"
            found.append(key)
        labels.append(set(source.labels().tolist()))
    assert found == sorted(expected)
    assert labels == [set(range(6)), {6, 7, 8}, {9, 10, 11}]


def test_the_first_character_is_pinned():
    # A change here changes everyone's results: then raise the builder's VERSION.
    strokes = glyphs.characters(0)[0]
    assert [np.round(stroke, 2).tolist() for stroke in strokes] == FIRST
    assert glyphs.drawers(0) == DRAWERS
    moments = cv2.moments(glyphs.draw(0, 0, DRAWERS[0])[..., 0])
    center = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    assert center == pytest.approx(CENTER, abs=0.05)


FIRST = [
    [[-0.33, 0.33], [-0.33, 1.0], [-0.33, -1.0]],
    [[-0.33, -1.0], [-0.33, 1.0], [-1.0, 1.0], [-1.0, 0.33]],
]
DRAWERS = [0, 5, 16, 20, 22, 27, 38, 39]
CENTER = (14.29, 16.20)
