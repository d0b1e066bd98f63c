"""How many steps of training one program takes."""

from cnnlab.training import dispatch


def test_dispatch_of_many_steps_is_chosen_for_accelerators_only():
    marks = [1000, 100, 500, 250]
    assert dispatch.steps_per_dispatch(0, marks, many=False) == 1
    assert dispatch.steps_per_dispatch(0, marks, many=True) == 50
    assert dispatch.steps_per_dispatch(0, [1000, 7, 500, 250], many=True) == 1
