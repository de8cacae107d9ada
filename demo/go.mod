module github.com/toolcrib/toolcrib/demo

go 1.26.0
