from hypothesis import given
from hypothesis import strategies as st

from tests.data.samplers.test_bag_sampler import bags_of
from wsreid.data.samplers import WholeBagSampler


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 12), st.integers(1, 3))
def test_each_member_once(sizes, batch_size, world_size):
    bags = bags_of(sizes)
    members = []
    for rank in range(world_size):
        sampler = WholeBagSampler(bags, batch_size, rank, world_size)
        plans = list(sampler)
        assert len(plans) == len(sampler)
        for plan in plans:
            assert len(plan.row) <= batch_size
            members += plan.member.tolist()
            if len(plan.bag_id) > 1 or plan.bag_size[0] <= batch_size:
                assert plan.bag_size.sum() == len(plan.row)  # whole bags
    assert members == list(range(bags.n_members))
