import numpy as np

from cnnlab.data.builders import scene_motion
from cnnlab.data.builders.scene_layout import Object, paint

SIZE = (40, 50)
POSE = np.array([[10.0, 0, 20], [0, 10, 20]])


def shift(dy, dx):
    return np.array([[1.0, 0, dy], [0, 1, dx]])


def test_flow_is_the_motion_of_what_a_pixel_shows_and_seen_is_what_stays_in_view():
    item = Object("disc", POSE[None])
    ids = paint([item.raster()], SIZE)
    motions = np.stack([shift(0, 6), shift(-3, 0)])
    flow = scene_motion.flow([item.moved(motions[0])], motions, ids)
    assert (flow[ids == 0, :2] == (0, 6)).all() and (flow[ids == -1, :2] == (-3, 0)).all()
    assert flow[ids == 0, 2].all()
    # The ground that leaves at the top, and that which comes to lie behind the disc.
    after = item.moved(motions[0])
    points = scene_motion.centers(SIZE)
    hidden = after.covers((points - np.array([3, 0])).reshape(-1, 2)).reshape(SIZE)
    ground = ids == -1
    np.testing.assert_array_equal(flow[..., 2] == 0, ground & ((points[..., 0] < 3) | hidden))


def test_turns_and_growth_make_a_flow_that_is_affine():
    ids = np.full(SIZE, -1)
    motions = scene_motion.draw(np.random.default_rng(0), [], SIZE)
    flow = scene_motion.flow([], motions, ids)[..., :2]
    expected = scene_motion.centers(SIZE) @ (motions[0, :, :2] - np.eye(2)).T + motions[0, :, 2]
    assert abs(flow - expected).max() <= 0.5 / scene_motion.FRACTION
    assert abs(flow).max() > 0.5


def test_objects_have_the_motion_of_the_camera_and_their_own():
    items = [Object("disc", POSE[None])] * 400
    motions = scene_motion.draw(np.random.default_rng(1), items, SIZE)
    assert len(motions) == 401
    # Own motions are about zero: the mean is the camera's.
    moved = motions[:-1] @ np.append(POSE[:, 2], 1)
    own = moved - motions[-1] @ np.append(POSE[:, 2], 1)
    assert abs(own.mean(0)).max() < 4 * scene_motion.OWN[2] / 20
    assert 2 < own.std() < 3
