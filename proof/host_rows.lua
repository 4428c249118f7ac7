--- The hosts that people have, a row each.
--
-- name    what is special about it
-- setup   a shell line that makes it, played by root in namespaces of its own; in it "$@" is what shall run there
-- users   who runs the specs there: "root", "user" (both where nothing is said)
-- specs   the spec files of the short form, "run sandbox"; none: the long form alone has this host
-- long    those of the long form: all of them where nothing is said
-- lua     the interpreter, lua5.4 where nothing is said
-- skips   why specs may be skipped there: a pattern for each reason
return {
  { name = "shared mounts", setup = "mount --make-rshared /", specs = "sandbox root mounts check" },
}
