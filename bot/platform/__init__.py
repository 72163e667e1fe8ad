"""Our own WeCom, WeChat and QQ, to play with and to test against: the platforms' side of every channel, on loopback.

It knows nothing of the adapters that talk to it (an import contract holds that), so neither can hide the other's fault.
Shapes, codes and limits are those of the platforms' pages; where a page says nothing, a constant here says what was
assumed. Nobody's data is in it: all is in memory, and gone when it stops.
"""
