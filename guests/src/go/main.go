// Go's own runtime inside a component: arguments, environment, stdin, files, goroutines and channels, timers, garbage
// collection, maps, a recovered nil dereference, exit code. Argument 1 may name a directory below the preopen, which must be "/";
// `exit=N` sets the exit code (any N but 0 arrives as 1), `panic` ends with an unrecovered panic.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Memory for the preview1 adapter, which lives in this program's linear memory: `guest-tools command --pages` finds the
// array by its text and gives it to the adapter (tools/src/pages.rs says why). Go must not touch it.
var adapterPages = [4 << 16]byte{
	'g', 'u', 'e', 's', 't', '-', 't', 'o', 'o', 'l', 's', ':', ' ', 'p', 'a', 'g', 'e', 's', ' ', 'f',
	'o', 'r', ' ', 't', 'h', 'e', ' ', 'p', 'r', 'e', 'v', 'i', 'e', 'w', '1', ' ', 'a', 'd', 'a', 'p',
	't', 'e', 'r',
}

// keep is there so that the linker does not drop the array.
//
//go:noinline
func keep(*[4 << 16]byte) {}

type order struct {
	Item  string  `json:"item"`
	Count int     `json:"count"`
	Price float64 `json:"price,omitempty"`
	next  *order
}

func must(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

// sieve is the chain of goroutines that each strike out the multiples of one prime.
func sieve(count int) []int {
	source := make(chan int)
	go func(numbers chan<- int) {
		for i := 2; ; i++ {
			numbers <- i
		}
	}(source)
	var primes []int
	for range count {
		prime := <-source
		primes = append(primes, prime)
		next := make(chan int)
		go func(in <-chan int, out chan<- int) {
			for n := range in {
				if n%prime != 0 {
					out <- n
				}
			}
		}(source, next)
		source = next
	}
	return primes
}

func language() {
	fmt.Println("sieve:", sieve(30))
	var (
		wait  sync.WaitGroup
		lock  sync.Mutex
		total int
	)
	for i := range 100 {
		wait.Go(func() {
			lock.Lock()
			defer lock.Unlock()
			total += i
		})
	}
	wait.Wait()
	fmt.Println("goroutines:", total)

	select {
	case <-time.After(10 * time.Millisecond):
		fmt.Println("timer: fired")
	case <-make(chan int):
	}

	text, err := json.Marshal([]order{{Item: "bolt", Count: 3, Price: 0.25}, {Item: "né☃"}})
	must(err)
	var back []order
	must(json.Unmarshal(text, &back))
	fmt.Printf("json: %s %+v\n", text, back[1].Item)

	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		fmt.Println(back[0].next.Item)
	}()
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		fmt.Println(back[len(back)+3])
	}()

	words := map[string]int{}
	for i := range 20000 {
		words["k"+strconv.Itoa(i%777)] += i
	}
	var garbage [][]byte
	for i := range 2000 {
		garbage = append(garbage, make([]byte, 10000))
		if i%100 == 0 {
			garbage = nil
		}
	}
	runtime.GC()
	fmt.Println("map:", len(words), words["k1"], "heap:", len(garbage))
	fmt.Printf("%v %.3e %q %x %8.2f|%-6s|\n", 0.1+0.2, 6.02e23, "né", "né", 3.14159, "ab")
}

func machine() {
	fmt.Println("wall clock past 2024:", time.Now().Unix() > 1704067200)
	start := time.Now()
	time.Sleep(20 * time.Millisecond)
	slept := time.Since(start)
	fmt.Println("slept:", slept >= 20*time.Millisecond && slept < 20*time.Second)
	var a, b [32]byte
	_, err := rand.Read(a[:])
	must(err)
	_, err = rand.Read(b[:])
	must(err)
	fmt.Println("random:", a != b)
}

func files(root string) {
	given, err := os.ReadFile(filepath.Join(root, "given.txt"))
	must(err)
	fmt.Printf("given: %q\n", given)
	deep := filepath.Join(root, "deep", "er")
	must(os.MkdirAll(deep, 0o755))
	for i := range 5 {
		must(os.WriteFile(filepath.Join(deep, fmt.Sprintf("%d.txt", i)), []byte(strings.Repeat("x", i*100)), 0o644))
	}
	must(filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		must(err)
		info, err := entry.Info()
		must(err)
		size := info.Size()
		if entry.IsDir() {
			size = 0
		}
		fmt.Println("walked:", path, entry.IsDir(), size)
		return nil
	}))
	file, err := os.OpenFile(filepath.Join(deep, "1.txt"), os.O_RDWR|os.O_APPEND, 0)
	must(err)
	_, err = file.WriteString("tail")
	must(err)
	at, err := file.Seek(-6, io.SeekEnd)
	must(err)
	tail, err := io.ReadAll(file)
	must(err)
	must(file.Close())
	fmt.Printf("tail: %d %s\n", at, tail)
	must(os.Rename(filepath.Join(deep, "1.txt"), filepath.Join(root, "kept.txt")))
	must(os.RemoveAll(filepath.Join(root, "deep")))
	_, err = os.Stat(deep)
	fmt.Println("gone:", os.IsNotExist(err))
	_, err = os.Open("/../outside")
	fmt.Println("outside refused:", err != nil)
}

func main() {
	keep(&adapterPages)
	arguments := os.Args[1:]
	fmt.Printf("arguments: %q\n", arguments)
	environment := os.Environ()
	sort.Strings(environment)
	fmt.Printf("environment: %q\n", environment)
	lines := bufio.NewScanner(os.Stdin)
	for number := 1; lines.Scan(); number++ {
		fmt.Printf("stdin %d: %s\n", number, lines.Text())
	}
	language()
	machine()
	code := 0
	for _, argument := range arguments {
		switch number, isExit := strings.CutPrefix(argument, "exit="); {
		case isExit:
			var err error
			code, err = strconv.Atoi(number)
			must(err)
		case argument == "panic":
			panic("as the argument asked")
		case strings.HasPrefix(argument, "/"):
			files(argument)
		}
	}
	os.Exit(code)
}
