"""Starting Python with the shim active: the launcher, ``autoxla.pth`` and the private sitecustomize."""
