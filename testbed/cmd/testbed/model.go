package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/toolcrib/toolcrib/testbed/model"
)

func playModel(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flags("model", `Plays a scenario as a model server, until it is interrupted. It speaks the wires
of Anthropic and OpenAI; its first line of output is the base URL, to which
OpenAI's clients add /v1. The scenarios that come with it: `+strings.Join(model.ShippedNames(), ", ")+`.`, stderr)
	scenario := f.String("scenario", "", "`file` of the scenario, or the name of one that comes along")
	var o model.Options
	f.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` to listen on")
	f.StringVar(&o.KeyFile, "key-file", "", "`file` with the API key to expect, read for each request; any key if empty")
	models := f.String("models", "", "comma-separated `names` of the models there are; any if empty")
	if err := parse(f, args); err != nil {
		return err
	}
	if *scenario == "" {
		return errors.New("model needs --scenario; see testbed model --help")
	}
	if *models != "" {
		o.Models = strings.Split(*models, ",")
	}
	var err error
	if strings.ContainsAny(*scenario, "./") {
		o.Scenario, err = model.Load(*scenario)
	} else {
		o.Scenario, err = model.Shipped(*scenario)
	}
	if err != nil {
		return err
	}
	server, err := model.Start(o)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, server.URL)
	fmt.Fprintf(stderr, "playing %s; requests are told at %s/_model/requests\n", o.Scenario.Name, server.URL)
	<-ctx.Done()
	return server.Close()
}
