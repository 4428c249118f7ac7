--- Real programs in the sandbox, under its filter: each does the same as without one. Which of them are installed differs.
local machine = require "support.machine"
local ns = require "ns"

-- {program, what it is asked, a shell line}. A line must say the same each time.
local ROWS = {
  { "python3", "threads, processes, sockets, loops", [[python3 -c '
import asyncio, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading
t = threading.Thread(target=lambda: print("thread")); t.start(); t.join()
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout)
with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
async def go():
    p = await asyncio.create_subprocess_exec("true"); print(await p.wait())
    s = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0); s.close()
asyncio.run(go()); print(socket.if_nameindex(), os.getrandom(0), sqlite3.connect(":memory:").execute("select 1").fetchall())
print(os.memfd_create("x") > 0, os.sched_getaffinity(0) != None, tempfile.mkdtemp(dir="/tmp") != "")']] },
  { "gcc", "a program with threads, built by make", [[cd /tmp && printf '#include <pthread.h>\n#include <stdio.h>\n'\
'void *f(void *p) { puts("thread"); return p; }\nint main(void) { pthread_t t; pthread_create(&t, 0, f, 0);'\
' return pthread_join(t, 0); }\n' >a.c &&
printf 'a: a.c\n\tgcc -O2 -flto -o a a.c -lpthread\n' >Makefile && make -j2 && ./a]] },
  { "git", "a commit", [[cd /tmp && export HOME=/tmp &&
    export GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z &&
    git init -q -b m g && cd g && git config user.email a@b && git config user.name a && echo x >f && git add f &&
    git commit -qm m && git gc -q && git clone -q . ../h && git log --format=%s]] },
  { "perl", "fork, sockets, shared memory", [[perl -MSocket -MIPC::SysV=IPC_PRIVATE,IPC_RMID -e '
    socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; if (!fork) { syswrite $b, "child\n"; exit } wait;
    sysread $a, my $t, 9; print $t; my $m = shmget(IPC_PRIVATE, 64, 0600); shmwrite($m, "x", 0, 1);
    print shmctl($m, IPC_RMID, 0), "\n"']] },
  { "node", "threads and http", [[node -e '
    const { Worker } = require("worker_threads"), http = require("http")
    new Worker("console.log(1)", { eval: true }).on("exit", () => {
      const s = http.createServer((q, r) => r.end("hello\n")).listen(0, () => http.get({ port: s.address().port },
        r => r.on("data", d => process.stdout.write(d)).on("end", () => s.close()))) })']] },
  { "java", "a class, a thread, a process", [[cd /tmp && cat >A.java <<X
    class A { public static void main(String[] a) throws Exception {
      var t = new Thread(() -> System.out.println("thread")); t.start(); t.join();
      System.out.println(new ProcessBuilder("true").start().waitFor()); } }
X
    java -XX:+UseParallelGC A.java]] },
  { "apt-get", "what is installed", [[apt-get -s -o Debug::NoLocking=1 -o APT::Sandbox::User=root install 2>&1 |
    head -n 1; dpkg -l base-files | tail -n 1]] },
  { "redis-server", "keys", [[redis-server --port 0 --unixsocket /tmp/r --daemonize yes --dir /tmp --save 60 1 >/dev/null
    for i in 1 2 3 4 5 6 7 8 9; do redis-cli -s /tmp/r ping >/dev/null 2>&1 && break; sleep 0.2; done
    redis-cli -s /tmp/r set a b; redis-cli -s /tmp/r save; redis-cli -s /tmp/r get a; redis-cli -s /tmp/r shutdown]] },
  { "sqlite3", "a table", [[cd /tmp &&
    sqlite3 a.db 'pragma journal_mode=wal; create table t(x); insert into t values(1); select * from t']] },
  { "go", "a program", [[mkdir -p /tmp/g && cd /tmp/g && export GOCACHE=/tmp/c GOPATH=/tmp/p GO111MODULE=off &&
    printf 'package main\nimport "fmt"\nfunc main() { c := make(chan int); go func() { c <- 1 }(); fmt.Println(<-c) }\n' \
    >a.go && go run a.go]] },
  { "rustc", "a program", [[cd /tmp &&
    echo 'fn main() { std::thread::spawn(|| println!("thread")).join().unwrap() }' >a.rs && rustc a.rs && ./a]] },
  { "busybox", "its tools", [[cd /tmp && busybox sh -c 'echo a | busybox gzip | busybox zcat
    busybox ip link show lo | busybox head -n 1; busybox id -u']] },
  { "luajit", "compiled code", "luajit -e 'local n = 0 for i = 1, 1e6 do n = n + i end print(n)'" },
  { "gdb", "a program stopped and run",
    "gdb -q -batch -ex 'break exit' -ex run -ex kill /bin/true 2>&1 | grep -c Breakpoint" },
  { "strace", "calls", "strace -f -e trace=execve sh -c true 2>&1 | grep -c execve" },
  { "valgrind", "a program", "valgrind -q true" },
  { "clang", "a program under a sanitizer", [[cd /tmp && echo 'int main(void) { return 0; }' >a.c &&
    clang -fsanitize=address a.c -o a && ./a]] },
  { "openssl", "a key", "openssl genrsa 1024 2>/dev/null | openssl rsa -check -noout 2>&1 | head -n 1" },
  { "tar", "archives, compressed", [[cd /tmp && mkdir d && echo x >d/f && tar -cJf a.tar.xz d &&
    tar -xOJf a.tar.xz d/f]] },
  { "curl", "a file", "curl -s file:///etc/hostname" },
  { "bash", "jobs and coprocesses", [[bash -c 'coproc cat; echo x >&"${COPROC[1]}"; read -r l <&"${COPROC[0]}"
    echo $l; sleep 0.1 & wait %2; cat <(echo y)']] },
  { "ps", "processes", "ps -o comm= -p 1,$$ | sort" },
  { "ip", "interfaces", "ip -o link show lo" },
  { "vim", "a file", "cd /tmp && vim -es -u NONE -c 'normal ix' -c 'wq! f' </dev/null; cat f" },
  { "chromium", "a page, without its own sandbox", [[HOME=/tmp chromium --headless --no-sandbox --disable-gpu \
    --dump-dom 'data:text/html,<p>x' 2>/dev/null]] },
  { "bwrap", "a sandbox in the sandbox", "bwrap --unshare-user --unshare-pid --ro-bind / / --dev /dev echo inside",
    -- who maps user 0 needs a capability
    { disable_userns = false, user = machine.root and 1000 or nil, group = machine.root and 1000 or nil } },
}

local function installed(name)
  local r = ns.sandbox():seccomp(false):run("sh", "-c", ("command -v %s"):format(name))
  return r and r.ok
end

--- What comes of a line with and without the filter, both at the same time.
local function run_both(line, words)
  local processes, texts = {}, {}
  for i, filter in ipairs { false, "default" } do
    local box = ns.sandbox(words):seccomp(filter):timeout(120):stdin("null"):stdout("pipe"):stderr("pipe")
    processes[i] = assert(box:spawn("sh", "-c", line))
  end
  for i, p in ipairs(processes) do
    local r = assert(p:communicate())
    texts[i] = ("%s%s%s"):format(r.stdout, r.stderr, tostring(r))
    texts.fails = texts.fails or i == 1 and not r.ok
  end
  if texts.fails then return nil, texts[1] end
  return texts[1], texts[2]
end

describe("in the sandbox, with its filter as without,", function()
  for _, row in ipairs(ROWS) do
    local it = machine.it "sandbox"
    if not installed(row[1]) then it = machine.without("it", "not installed") end
    it(("%s runs: %s #system"):format(row[1], row[2]), function()
      local free, filtered = run_both(row[3], row[4])
      if not free then return pending("without a filter, too, it says " .. filtered) end
      assert.equal(free, filtered)
    end)
  end
end)
