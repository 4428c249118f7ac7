--- Images for the specs: made by tar, gzip and sha256sum, in the formats that others write.
local machine = require "support.machine"

local images = {}

local function sh(line, ...)
  local r = assert(require("ns").run { "sh", "-e", "-c", line, "sh", ... })
  if not r.ok then error(r.stdout .. tostring(r), 2) end
  return (r.stdout:gsub("\n$", ""))
end
images.sh = sh

--- A small system in a directory: busybox, some of its tools, and users.
function images.root(path)
  sh([[mkdir -p "$1/bin" "$1/etc" "$1/tmp" "$1/data"; cp "$(command -v busybox)" "$1/bin/busybox"; cd "$1"; chmod 1777 tmp
    for t in sh cat ls id stat touch rm mkdir env pwd echo wc head find ln chmod mknod; do ln -s busybox bin/$t; done
    printf 'root:x:0:0::/root:/bin/sh\nwww:x:33:34::/srv:/bin/sh\n' >etc/passwd; printf 'root:x:0:\nweb:x:35:\n' >etc/group
    echo base >etc/base; echo gone >etc/gone; mkdir -p srv/full/deep srv/opaque
    echo x >srv/full/deep/x; echo a >srv/opaque/a
    chmod 750 srv/full]], path)
end

local function digest(path) return sh([[sha256sum "$1" | cut -d' ' -f1]], path) end

--- Adds a file to the blobs of a layout: its digest and its size.
function images.blob(layout, path)
  local hex = digest(path)
  sh([[mkdir -p "$1/blobs/sha256"; cp "$2" "$1/blobs/sha256/$3"]], layout, path, hex)
  return hex, sh([[stat -c %s "$1"]], path)
end

local function text_blob(layout, text)
  machine.file(layout .. "/new", text)
  local hex, size = images.blob(layout, layout .. "/new")
  os.remove(layout .. "/new")
  return hex, size
end

local function quoted(list)
  local parts = {}
  for i, one in ipairs(list) do parts[i] = ("%q"):format(one) end
  return table.concat(parts, ",")
end

local DESCRIPTOR = '{"mediaType":"%s","digest":"sha256:%s","size":%s%s}'

--- Writes a layout with one image: `tars` are its layers, the lowest first; `config` is the text of what is in its config.
function images.layout(layout, tag, tars, config, options)
  options = options or {}
  local pack = options.pack or 'gzip -nc <"$1"'
  local layers, diffs = {}, {}
  for i, tar in ipairs(tars) do
    sh(pack .. ' >"$1.packed"', tar)
    local hex, size = images.blob(layout, tar .. ".packed")
    diffs[i] = "sha256:" .. digest(tar)
    local kind = options.kind or "application/vnd.oci.image.layer.v1.tar+gzip"
    layers[i] = DESCRIPTOR:format(kind, hex, size, "")
  end
  local text = ('{"architecture":"amd64","os":"linux","config":{%s},"rootfs":{"type":"layers","diff_ids":[%s]}}')
    :format(config or "", quoted(diffs))
  local hex, size = text_blob(layout, text)
  local m = ('{"schemaVersion":2,"config":%s,"layers":[%s]}'):format(
    DESCRIPTOR:format("application/vnd.oci.image.config.v1+json", hex, size, ""), table.concat(layers, ","))
  hex, size = text_blob(layout, m)
  machine.file(layout .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
  machine.file(layout .. "/index.json", ('{"schemaVersion":2,"manifests":[%s]}'):format(DESCRIPTOR:format(
    "application/vnd.oci.image.manifest.v1+json", hex, size,
    (',"annotations":{"org.opencontainers.image.ref.name":"%s"}'):format(tag))))
  return ("oci:%s:%s"):format(layout, tag)
end

--- What `docker save` writes, of the same.
function images.saved(file, name, tars, config)
  local directory = file .. ".d"
  sh([[mkdir -p "$1"]], directory)
  local diffs, names = {}, {}
  for i, tar in ipairs(tars) do
    diffs[i], names[i] = "sha256:" .. digest(tar), ("l%d/layer.tar"):format(i)
    sh([[mkdir -p "$1/l$2"; cp "$3" "$1/l$2/layer.tar"]], directory, tostring(i), tar)
  end
  machine.file(directory .. "/config.json",
    ('{"config":{%s},"rootfs":{"diff_ids":[%s]}}'):format(config or "", quoted(diffs)))
  machine.file(directory .. "/manifest.json", ('[{"Config":"config.json","RepoTags":["%s"],"Layers":[%s]}]'):format(name,
    quoted(names)))
  sh([[tar -C "$1" -cf "$2" . && rm -r "$1"]], directory, file)
  return "docker-archive:" .. file
end

--- A tar of a directory.
function images.tar(path, directory, ...)
  sh([[to=$1; from=$2; shift 2; tar -C "$from" --numeric-owner --owner=0 --group=0 "$@" -cf "$to" .]], path, directory, ...)
  return path
end

return images
