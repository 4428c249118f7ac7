# A registry that has the one image of a layout (argv 1) under any name: the read-only half of the distribution API.
import http.server, json, os, re, sys
top = sys.argv[1]
index = json.load(open(os.path.join(top, "index.json")))
class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self, body=True):
        m = re.match(r"^/v2/[\w/.-]+/(manifests|blobs)/([\w:.-]+)$", self.path)
        if self.path == "/v2/": data, kind = b"{}", "application/json"
        elif m:
            first = index["manifests"][0]
            digest = m.group(2) if m.group(2).startswith("sha256:") else first["digest"]
            path = os.path.join(top, "blobs", "sha256", digest[7:])
            if m.group(2) == "missing" or not os.path.exists(path): return self.send_error(404)
            data = open(path, "rb").read()
            kind = first["mediaType"] if m.group(1) == "manifests" else "application/octet-stream"
        else: return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if m: self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if body: self.wfile.write(data)
    def do_HEAD(self): self.do_GET(False)
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Registry)
print(server.server_port, flush=True)
server.serve_forever()
