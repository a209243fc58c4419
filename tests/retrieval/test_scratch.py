import torch

from wsreid.retrieval.scratch import Scratch


def test_memory_is_used_again_and_grows_when_it_must():
    scratch = Scratch(torch.device("cpu"))
    first = scratch.take("a", (4, 5))
    assert (first.shape, first.dtype, first.is_contiguous()) == ((4, 5), torch.float32, True)
    assert scratch.take("a", (2, 3)).data_ptr() == first.data_ptr()
    assert scratch.take("a", (4, 5), torch.int32).data_ptr() != first.data_ptr()
    assert scratch.take("b", (4, 5)).data_ptr() != first.data_ptr()
    assert scratch.take("a", (40, 5)).shape == (40, 5)
