// A small command line on the lego library: what its own command does, without the modules of two hundred DNS
// services that the full build needs.
//
//	lego-program issue|renew|revoke CHALLENGE NAME...
//
// The environment says where: INTEROP_DIRECTORY (the ACME directory), INTEROP_STATE (a folder for the account and the
// certificates), INTEROP_HTTP_PORT, INTEROP_TLS_PORT, INTEROP_DNS (host:port), and what lego itself reads:
// LEGO_CA_CERTIFICATES, EXEC_PATH.
package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certcrypto"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge/dns01"
	"github.com/go-acme/lego/v5/challenge/http01"
	"github.com/go-acme/lego/v5/challenge/tlsalpn01"
	"github.com/go-acme/lego/v5/lego"
	"github.com/go-acme/lego/v5/providers/dns/exec"
	"github.com/go-acme/lego/v5/registration"
)

type user struct {
	key          crypto.Signer
	registration *acme.ExtendedAccount
}

func (u *user) GetEmail() string                        { return "admin@corp.example" }
func (u *user) GetRegistration() *acme.ExtendedAccount { return u.registration }
func (u *user) GetPrivateKey() crypto.Signer            { return u.key }

func state(name string) string {
	return filepath.Join(os.Getenv("INTEROP_STATE"), name)
}

func loadUser() (*user, error) {
	text, err := os.ReadFile(state("account.key"))
	if errors.Is(err, os.ErrNotExist) {
		key, err := certcrypto.GeneratePrivateKey(certcrypto.EC256)
		if err != nil {
			return nil, err
		}
		return &user{key: key}, os.WriteFile(state("account.key"), certcrypto.PEMEncode(key), 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := certcrypto.ParsePEMPrivateKey(text)
	if err != nil {
		return nil, err
	}
	text, err = os.ReadFile(state("account.json"))
	if err != nil {
		return nil, err
	}
	known := &acme.ExtendedAccount{}
	return &user{key: key, registration: known}, json.Unmarshal(text, known)
}

func register(ctx context.Context, client *lego.Client, who *user) error {
	if who.registration != nil {
		return nil
	}
	made, err := client.Registration.Register(ctx, registration.RegisterOptions{TermsOfServiceAgreed: true})
	if err != nil {
		return err
	}
	who.registration = made
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(state("account.json"), text, 0o600)
}

func choose(client *lego.Client, challenge string) error {
	switch challenge {
	case "http-01":
		return client.Challenge.SetHTTP01Provider(http01.NewProviderServer("127.0.0.1", os.Getenv("INTEROP_HTTP_PORT")))
	case "tls-alpn-01":
		return client.Challenge.SetTLSALPN01Provider(tlsalpn01.NewProviderServer("127.0.0.1", os.Getenv("INTEROP_TLS_PORT")))
	case "dns-01":
		options := dns01.NewOptions()
		options.RecursiveNameservers = []string{os.Getenv("INTEROP_DNS")}
		dns01.SetDefaultClient(dns01.NewClient(options))
		provider, err := exec.NewDNSProvider()
		if err != nil {
			return err
		}
		return client.Challenge.SetDNS01Provider(provider, dns01.DisableAuthoritativeNssPropagationRequirement())
	}
	return fmt.Errorf("no challenge %q", challenge)
}

func keep(made *certificate.Resource, name string) error {
	if err := os.WriteFile(state(name+".key"), made.PrivateKey, 0o600); err != nil {
		return err
	}
	return os.WriteFile(state(name+".crt"), made.Certificate, 0o600)
}

func run(ctx context.Context, action, challenge string, names []string) error {
	who, err := loadUser()
	if err != nil {
		return err
	}
	config := lego.NewConfig(who)
	config.CADirURL = os.Getenv("INTEROP_DIRECTORY")
	client, err := lego.NewClient(config)
	if err != nil {
		return err
	}
	if err := choose(client, challenge); err != nil {
		return err
	}
	if err := register(ctx, client, who); err != nil {
		return err
	}
	if action == "issue" {
		made, err := client.Certificate.Obtain(ctx, certificate.ObtainRequest{
			Domains: names, KeyType: certcrypto.EC256, Bundle: true})
		if err != nil {
			return err
		}
		return keep(made, names[0])
	}
	old, err := os.ReadFile(state(names[0] + ".crt"))
	if err != nil {
		return err
	}
	if action == "revoke" {
		return client.Certificate.Revoke(ctx, old)
	}
	made, err := client.Certificate.Renew(ctx,
		certificate.Resource{Domains: names, KeyType: certcrypto.EC256, Certificate: old},
		&certificate.RenewOptions{Bundle: true})
	if err != nil {
		return err
	}
	return keep(made, names[0])
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/go-acme/lego/v5" {
				return module.Version
			}
		}
	}
	return "unknown"
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(version())
		return
	}
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: lego-program issue|renew|revoke CHALLENGE NAME...")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
