"""Programs that start from a process which has imported their packages already.

Most of a short Python program's time goes into its imports. A server process imports a list of modules once. For each
program it makes a copy of itself (``fork``), and the copy becomes the program: its arguments, environment, working
directory, streams, exit status and signals are those of a plain start, and no two programs share anything but what was
read at the imports. What would import something else, or in another environment, is started plainly.

Two things differ. All copies have the server's hash seed, so sets of texts have one order in all of them. And they end
with the server: at once, or in the time that they are given.

A server is that of the process which started it, or stands for several (``standing``).
"""
