"""Pre-trained weights: what is registered, how a file is fetched and checked, how it is read.

`registry` says which files exist, `fetch` brings them into the cache, `readers` opens them.
Only `readers` imports torch.
"""
