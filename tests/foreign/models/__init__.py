"""A small repository with LIIF's calling convention, run by the tests as somebody else's code."""

known = {}


def register(name):
    def remember(kind):
        known[name] = kind
        return kind

    return remember


def make(spec, args=None, load_sd=False):
    model = known[spec["name"]](**{**spec["args"], **(args or {})})
    if load_sd:
        model.load_state_dict(spec["sd"])
    return model


from . import encoder, liif  # noqa: E402, F401

print("somebody always prints something")
