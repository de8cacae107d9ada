module github.com/toolcrib/toolcrib/bench

go 1.26.0
